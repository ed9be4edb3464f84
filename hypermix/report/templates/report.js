"use strict";
(() => {
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll("details:not([open])")) { box.open = true; closed.push(box); }
  });
  addEventListener("afterprint", () => { for (const box of closed.splice(0)) box.open = false; });

  const data = document.getElementById("rows-data");
  if (!data) return;
  const packed = JSON.parse(data.textContent), total = packed.n;
  const find = (id) => document.getElementById(id);
  const body = find("rows-body"), pageSize = 50;
  const lowered = packed.text.map((text) => (text || "").toLowerCase());
  const inputs = ["search", "augmenter", "label", "use", "dataset", "subsample", "order"].map(find).filter(Boolean);
  const chosen = (id) => { const input = find(id); return input ? input.value : ""; };
  let page = 0;

  const shared = (name, index) => {
    const at = packed.shared[name].at[index];
    return at < 0 ? null : packed.shared[name].values[at];
  };
  const add = (parent, tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const percent = (share) => (100 * share).toFixed(1) + " %";

  // Choices are compared as numbers: one look at the list of values, not one a row.
  const wantedAt = (name, choice) => choice === "" ? null : packed.shared[name].values.indexOf(choice.slice(1));
  const share = (index, wanted) => {
    const soft = packed.soft[index];
    if (soft === null) return null;
    if (wanted === null) return soft[1];
    for (let place = 0; place < soft.length; place += 2) if (soft[place] === wanted) return soft[place + 1];
    return 0;
  };

  const matches = () => {
    const words = chosen("search").trim().toLowerCase(), use = chosen("use"), order = chosen("order");
    const tests = [];
    for (const name of ["augmenter", "label", "dataset", "subsample"]) {
      const wanted = wantedAt(name, chosen(name));
      if (wanted !== null) tests.push([packed.shared[name].at, wanted]);
    }
    if (use.startsWith("=")) tests.push([packed.shared.reason.at, wantedAt("reason", use)]);
    else if (use) tests.push([packed.kept, use === "kept" ? 1 : 0]);
    const found = [];
    for (let index = 0; index < total; index += 1) {
      if (tests.every(([column, wanted]) => column[index] === wanted) && lowered[index].includes(words)) found.push(index);
    }
    if (!order) return found;
    const label = chosen("label"), wanted = label === "" ? null : packed.names.indexOf(label.slice(1));
    const sign = order === "sure" ? -1 : 1;
    const keyed = found.map((index) => [share(index, wanted), index]);
    // Rows without a soft label come last; equal ones stay as made.
    keyed.sort(([one, first], [other, second]) =>
      (one === null) - (other === null) || (one === null ? 0 : sign * (one - other)) || first - second);
    return keyed.map(([, index]) => index);
  };

  const drawLabel = (cell, index) => {
    const label = shared("label", index), soft = packed.soft[index] || [];
    add(cell, "b", "", label === null ? "no label" : label);
    for (let place = 0; place < soft.length; place += 2) {
      const line = add(cell, "div", "share soft");
      add(line, "span", "", packed.names[soft[place]]);
      add(add(line, "span", "track"), "div", "bar").style.width = 100 * Math.min(1, Math.max(0, soft[place + 1])) + "%";
      add(line, "span", "value", percent(soft[place + 1]));
    }
    if (packed.more[index] > 0) add(cell, "div", "soft", packed.more[index] + " more, each under 1 %");
  };

  const drawRow = (index) => {
    const line = document.createElement("tr"), cell = add(line, "td"), text = packed.text[index];
    const words = add(cell, "div", "text", text === null ? "no text" : text);
    words.dir = "auto";
    if (text !== null && text.length > 600) words.tabIndex = 0;
    if (packed.length[index]) add(cell, "div", "of", "cut: the text has " + packed.length[index] + " characters");
    add(cell, "div", "keys", [shared("augmenter", index), shared("dataset", index), shared("subsample", index),
      "seed " + shared("data_seed", index), "trial " + shared("trial", index)].join(" · "));
    drawLabel(add(line, "td"), index);
    const source = add(line, "td"), from = shared("label_source", index), count = packed.sources[index];
    add(source, "div", "", from === null ? "no label source" : from);
    if (packed.label_mass[index] !== null) add(source, "div", "of", "label mass " + percent(packed.label_mass[index]));
    if (count) add(source, "div", "of", "from " + count + (count === 1 ? " row" : " rows"));
    if (shared("llm", index) !== null) add(source, "div", "of", shared("llm", index));
    const use = add(line, "td"), reason = shared("reason", index);
    add(use, "div", "", packed.kept[index] ? "✓ used" : "✕ not used");
    if (!packed.kept[index]) add(use, "div", "of", reason === null ? "no reason given" : reason);
    return line;
  };

  const draw = () => {
    const found = matches(), pages = Math.max(1, Math.ceil(found.length / pageSize));
    page = Math.min(page, pages - 1);
    const from = page * pageSize, part = found.slice(from, from + pageSize);
    body.replaceChildren(...part.map(drawRow));
    find("shown").textContent = found.length === 0 ? "No row passes the filters (of " + total + ")." :
      "Rows " + (from + 1) + " to " + (from + part.length) + " of " + found.length +
      (found.length < total ? " that pass the filters, of " + total + " in all." : ".");
    find("page").textContent = "Page " + (page + 1) + " of " + pages;
    find("previous").disabled = page === 0;
    find("next").disabled = page >= pages - 1;
  };

  const turn = (step) => {
    page += step;
    draw();
    // A button that has just been disabled would lose the focus to the page.
    if (find("next").disabled && step > 0) find("previous").focus();
    if (find("previous").disabled && step < 0) find("next").focus();
    find("shown").scrollIntoView({ block: "nearest" });
  };
  for (const input of inputs) input.addEventListener(input.id === "search" ? "input" : "change", () => { page = 0; draw(); });
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("browser").hidden = false;
  draw();
})();
