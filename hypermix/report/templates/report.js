"use strict";
(() => {
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll("details:not([open])")) { box.open = true; closed.push(box); }
  });
  addEventListener("afterprint", () => { for (const box of closed.splice(0)) box.open = false; });

  const data = document.getElementById("rows-data");
  if (!data) return;
  const rows = JSON.parse(data.textContent);
  const find = (id) => document.getElementById(id);
  const body = find("rows-body"), search = find("search"), pageSize = 50;
  const lowered = rows.map((row) => (row.text || "").toLowerCase());
  let page = 0;

  const add = (parent, tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const percent = (share) => (100 * share).toFixed(1) + " %";
  const passes = (choice, value) => choice === "" || (value !== null && choice === "=" + value);

  const matches = () => {
    const wanted = search.value.trim().toLowerCase(), use = find("use").value;
    return rows.filter((row, index) =>
      lowered[index].includes(wanted) &&
      passes(find("augmenter").value, row.augmenter) &&
      passes(find("label").value, row.label) &&
      (use === "kept" ? row.kept : use === "rejected" ? !row.kept : passes(use, row.reason)));
  };

  const drawLabel = (cell, row) => {
    add(cell, "b", "", row.label === null ? "no label" : row.label);
    const shares = (row.soft_label || []).filter(([, share], index) => index < 5 || share >= 0.01);
    for (const [name, share] of shares) {
      const line = add(cell, "div", "share soft");
      add(line, "span", "", name);
      add(add(line, "span", "track"), "div", "bar").style.width = 100 * Math.min(1, Math.max(0, share)) + "%";
      add(line, "span", "value", percent(share));
    }
    const more = (row.soft_label || []).length - shares.length;
    if (more > 0) add(cell, "div", "soft", more + " more, each under 1 %");
  };

  const drawRow = (row) => {
    const line = document.createElement("tr"), text = add(line, "td");
    const words = add(text, "div", "text", row.text === null ? "no text" : row.text);
    if (row.text !== null && row.text.length > 600) words.tabIndex = 0;
    add(text, "div", "keys", [row.augmenter, row.dataset, row.subsample, "seed " + row.data_seed, "trial " + row.trial].join(" · "));
    drawLabel(add(line, "td"), row);
    const source = add(line, "td");
    add(source, "div", "", row.label_source === null ? "no label source" : row.label_source);
    if (row.label_mass !== null) add(source, "div", "of", "label mass " + percent(row.label_mass));
    if (row.sources) add(source, "div", "of", "from " + row.sources + (row.sources === 1 ? " row" : " rows"));
    if (row.llm !== null) add(source, "div", "of", row.llm);
    const use = add(line, "td");
    add(use, "div", "", row.kept ? "✓ used" : "✕ not used");
    if (!row.kept) add(use, "div", "of", row.reason === null ? "no reason given" : row.reason);
    return line;
  };

  const draw = () => {
    const found = matches(), pages = Math.max(1, Math.ceil(found.length / pageSize));
    page = Math.min(page, pages - 1);
    const from = page * pageSize, part = found.slice(from, from + pageSize);
    body.replaceChildren(...part.map(drawRow));
    find("shown").textContent = found.length === 0 ? "No row passes the filters (of " + rows.length + ")." :
      "Rows " + (from + 1) + " to " + (from + part.length) + " of " + found.length +
      (found.length < rows.length ? " that pass the filters, of " + rows.length + " in all." : ".");
    find("page").textContent = "Page " + (page + 1) + " of " + pages;
    find("previous").disabled = page === 0;
    find("next").disabled = page >= pages - 1;
  };

  const turn = (step) => { page += step; draw(); find("shown").scrollIntoView({ block: "nearest" }); };
  const restart = () => { page = 0; draw(); };
  search.addEventListener("input", restart);
  for (const name of ["augmenter", "label", "use"]) find(name).addEventListener("change", restart);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("browser").hidden = false;
  draw();
})();
