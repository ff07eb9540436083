"""What the book needs of Sphinx, so that a plain `jupyter-book build book` is right too.

- Sliders are baked into the page (`EXPLORE_MODE=static`), in one thread, without progress bars.
- A chapter's stored outputs are used again only while the companion, the pins and this mode are
  the same: the cache folder is named by their hash, and a new hash makes every chapter outdated.
- The buttons for Colab and for issues appear once `_config.yml` names the repository.
- Block quotes that begin with **Mend.**, **Note.** or **Careful.** become boxes.
"""

import hashlib
import os
import shutil
from pathlib import Path

import yaml
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "companion" / "notebook"
ENVIRONMENT = {
    "EXPLORE_MODE": "static",
    "OMP_NUM_THREADS": "1",  # sums differ between one thread and two
    "TQDM_DISABLE": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
ASIDES = {"Mend.": "mend", "Note.": "note", "Careful.": "careful"}


def key() -> str:
    """Return a hash of all that a chapter's outputs depend on besides its own cells."""
    digest = hashlib.sha256()
    files = [p for p in (ROOT / "companion").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    files = [p for p in files if p.suffix not in {".js", ".css"}]
    for path in [*sorted(files), ROOT / "requirements.txt", Path(__file__)]:
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    for name in (
        "BOOK_SEED",
        "BOOK_LANGUAGE",
        "COMPANION_DEVICE",
        *ENVIRONMENT,
    ):
        digest.update(f"{name}={os.environ.get(name, '')}".encode())
    return digest.hexdigest()[:16]


def use_own_cache(app, config) -> None:
    """Name the cache folder by the key, and drop the folders of older keys."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(caches / key())
    for old in caches.glob("*"):
        if old.name != key():
            shutil.rmtree(old, ignore_errors=True)


def repository() -> dict[str, str]:
    """Return what `_config.yml` says of the repository (theme options of ours hide it there)."""
    return yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))["repository"]


def offer_repository(app, config) -> None:
    """Show the buttons that need the repository's address, once `_config.yml` names it."""
    if repository()["url"]:
        config.html_theme_options |= {
            "repository_url": repository()["url"],
            "repository_branch": repository()["branch"],
            "use_repository_button": True,
            "use_issues_button": True,
            "launch_buttons": {"colab_url": "https://colab.research.google.com"},
        }


def outdated(app, env, added, changed, removed) -> list[str]:
    """Make Sphinx read every page again when the key has changed."""
    before, env.companion_key = getattr(env, "companion_key", None), key()
    return sorted(env.found_docs) if before != key() else []


def copy_assets(app, error) -> None:
    """Put the sliders' script and style beside the theme's."""
    if error is None and app.builder.format == "html":
        for name in ("explore.js", "explore.css"):
            shutil.copy(ASSETS / name, Path(app.outdir) / "_static" / name)


def mark_asides(app, doctree) -> None:
    """Give block quotes that begin with a bold key word the class of their box."""
    for quote in doctree.findall(nodes.block_quote):
        first = next(iter(quote.findall(nodes.strong)), None)
        if first is not None and first.astext() in ASIDES:
            quote["classes"] += ["aside", f"aside-{ASIDES[first.astext()]}"]


def setup(app):
    """Register the extension."""
    os.environ.update(ENVIRONMENT)
    app.add_js_file("explore.js", loading_method="defer")
    app.add_css_file("explore.css")
    app.connect("config-inited", use_own_cache, priority=900)
    app.connect("config-inited", offer_repository)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", mark_asides)
    app.connect("build-finished", copy_assets)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
