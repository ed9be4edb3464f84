"""What stands in Snakemake's own report: the report, and one form of each of its figures and tables."""


def aggregate_output(name, path):
    """Name an output of aggregate, with a caption if it stands there."""
    output = f"{RESULTS}/aggregate/{path}"
    if name == "report":
        return report(output, caption="../report/report.rst", category="Report", labels={"what": "the whole report"})
    if not path.endswith((".svg", ".csv")):
        return output
    kind, what, form = name.split("_")
    labels = {"what": what, "form": form}
    return report(output, caption=f"../report/{kind}_{what}.rst", category=f"{kind.capitalize()}s", labels=labels)
