"""Notebooks of ``examples/``: executed when the site is built, and shown as pages of the gallery with what came out.

They are kept without outputs. A cell that raises fails the site.
"""

import base64
import os
import pathlib
import re
import shutil
import tempfile

here = pathlib.Path(__file__).parent
sources = here.parent / "examples"
pages = here / "notebooks"


def prepare(app=None, config=None):
    """Write a page for each notebook that is newer than its page."""
    pages.mkdir(exist_ok=True)
    for source in sorted(sources.glob("*.ipynb")):
        written = pages / f"{source.stem}.md"
        if not written.exists() or written.stat().st_mtime < source.stat().st_mtime:
            shutil.copyfile(source, pages / source.name)  # to download
            written.write_text(page(executed(source), source.stem, pages), "utf-8")


def executed(source):
    """Return a notebook with the outputs of its cells, run in a folder of its own."""
    import nbclient
    import nbformat

    notebook = nbformat.read(source, as_version=4)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are too small for more
    with tempfile.TemporaryDirectory() as folder:
        return nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()


def page(notebook, name, folder):
    """Return a notebook as a page of MyST; its pictures go into a folder."""
    parts, pictures = [], 0
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else fenced(text, "python"))
        for data in shown(cell.get("outputs", ())):
            if "image/png" in data:
                pictures += 1
                file = f"{name}_{pictures}.png"
                (folder / file).write_bytes(base64.b64decode(data["image/png"]))
                parts.append(f"![What the cell draws]({file})")
            elif "text/html" in data:
                parts.append(fenced(f'<div class="output">{"".join(data["text/html"])}</div>', "{raw} html"))
            else:
                parts.append(fenced(screen("".join(data["text/plain"])), "text"))
    parts.insert(1, f"{{download}}`The notebook <{name}.ipynb>`")
    return "\n\n".join(parts) + "\n"


def shown(outputs):
    """Yield what each output has by its kind, what was printed in pieces together."""
    printed = ""
    for output in [*outputs, {"output_type": "end"}]:
        if output["output_type"] == "stream":
            printed += "".join(output["text"])
            continue
        if printed.strip():
            yield {"text/plain": printed}
        printed = ""
        if output["output_type"] != "end":
            yield output["data"]


def screen(text):
    """Return what is left of a text on a screen, where a bar returns to the beginning of its line."""
    return re.sub(r"[^\n]*\r(?!\n)", "", text).rstrip()


def fenced(text, kind):
    """Return a block that is longer in its fence than any fence in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{kind}\n{text}\n{fence}"
