"""Make companion/files/help_topics.xz: what Python's help() prints on its topics, as plain text.

The texts are those of ``pydoc_data.topics`` in Python 3.11.7; other versions have other texts and
another hash. Left out are grammar rules, tables, and what is not ASCII once quotation marks are
made plain. What one topic repeats of another (the text of "with" stands in "compound", too) is
kept in the shorter one alone, so that no topic gives away another. Two runs give the same bytes.
"""

import argparse
import hashlib
import lzma
import re
from pathlib import Path
from pydoc_data.topics import topics

OUTPUT = Path(__file__).parents[1] / "companion" / "files" / "help_topics.xz"
PLAIN = str.maketrans(dict(zip("’‘“”–—", "''\"\"--", strict=True)) | {"…": "..."})
WORDS = 6  # so many words in a row that have been seen before count as repeated
SHORTEST = 200  # characters that a topic must have left


def readable(paragraph: str) -> bool:
    """Tell whether a paragraph is prose or code, not grammar, a table or in other letters."""
    ruled = re.search(r"^\s*[|+]|-{3}\+", paragraph, re.MULTILINE)
    return bool(paragraph) and "::=" not in paragraph and not ruled and paragraph.isascii()


def runs(paragraph: str) -> list[tuple[str, ...]]:
    """Return every run of six words (of all, where there are fewer)."""
    words = re.findall(r"\w+", paragraph.lower())
    return [tuple(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))]


def without_repeats(texts: dict[str, str]) -> dict[str, str]:
    """Drop each paragraph of which half has been seen; the shortest text comes first."""
    seen, kept = set(), {}
    for name in sorted(texts, key=lambda name: (len(texts[name]), name)):
        new = []
        for paragraph in filter(readable, re.split(r"\n\s*\n", texts[name].strip("\n"))):
            known = runs(paragraph)
            if sum(run in seen for run in known) < len(known) / 2:
                new.append(paragraph.rstrip())
            seen.update(known)
        kept[name] = "\n\n".join(new)
    return {name: kept[name] for name in sorted(kept) if len(kept[name]) >= SHORTEST}


def main() -> None:
    """Pack the file and print the hash that companion.data.SOURCES must hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file to write")
    arguments = parser.parse_args()

    kept = without_repeats({name: text.translate(PLAIN) for name, text in topics.items()})
    contents = "\f".join(f"{name}\n{text}" for name, text in kept.items()).encode("ascii")
    arguments.output.write_bytes(lzma.compress(contents, preset=9 | lzma.PRESET_EXTREME))
    print(f"{arguments.output}: {len(kept)} topics, {len(contents):,} characters")
    print(f"SHA-256 of the contents: {hashlib.sha256(contents).hexdigest()}")


if __name__ == "__main__":
    main()
