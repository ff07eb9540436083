"""Make companion/files/interface_texts.xz: short texts of user interfaces in English and Chinese.

They come from the catalogues in which two programs keep their translations: JupyterLab (the package
jupyterlab-language-pack-zh-CN 4.5.post3) and Wagtail, a program to write web pages with (the
package wagtail 8.0.1). Both wheels must be unpacked into one folder, the argument.

Quotation marks, dashes and dots become plain ones; commas, colons, brackets and the like in Chinese
become Chinese ones, and a plain full stop at its end does. Placeholders such as "%(title)s" become
"%1", "%2", ..., numbered in the order of the English text. Left out are texts

- that have a plural form or more than one line;
- whose translation has no Chinese character, or other placeholders than the English text;
- with other characters than letters (in Chinese: and Chinese characters), digits, spaces and the
  usual marks, such as code and web addresses;
- of more than 16 tokens in English or 30 in Chinese, as companion.text.text_tokens counts them.

Of English texts with the same letters and digits, such as "Log out" and "Logout...", one is kept,
with one translation: the pair that is found most often, and the first of those. The pairs are
sorted. Two runs give the same bytes.
"""

import argparse
import hashlib
import lzma
import re
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from companion.text import text_tokens

OUTPUT = Path(__file__).parents[1] / "companion" / "files" / "interface_texts.xz"
CATALOGUES = (
    "jupyterlab_language_pack_zh_CN/locale/zh_CN/LC_MESSAGES/*.mo",
    "wagtail/**/locale/zh_Hans/LC_MESSAGES/*.mo",
)
LONGEST = (16, 30)  # tokens in English and in Chinese

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[0-9a-z]|\{\w*\}")
PLAIN = str.maketrans(
    dict(zip("’‘“”「」–—\u00a0", '\'\'""""-- ', strict=True)) | {"…": "...", "\u200b": None}
)
WIDE = str.maketrans(dict(zip(",:;?!()'", '，：；？！（）"', strict=True)))
ENGLISH = re.compile(r"""[A-Za-z0-9 .,:;?!'"()/&%+-]*""")
CHINESE = re.compile(r"""[\u4e00-\u9fffA-Za-z0-9 .。，、：；？！"（）/&%+-]*""")


def read_catalogue(contents: bytes) -> dict[str, str]:
    """Return the translations of a compiled catalogue of GNU gettext; fuzzy ones are not in it."""
    magic, _, n, *tables = struct.unpack_from("<5I", contents)
    if magic != 0x950412DE:
        raise ValueError(f"expected a compiled catalogue, got one that begins with {magic:#x}")
    texts = []
    for table in tables:
        places = [struct.unpack_from("<2I", contents, table + 8 * i) for i in range(n)]
        texts.append([contents[start : start + length].decode() for length, start in places])
    catalogue = dict(zip(*texts, strict=True))
    catalogue.pop("", None)  # facts on the catalogue itself
    return catalogue


def cleaned(english: str, chinese: str) -> tuple[str, str] | None:
    """Return a pair with its marks made plain and its placeholders numbered; None if left out."""
    english = english.split("\x04")[-1]  # before that mark: where the text is used
    numbers = {}
    for found in PLACEHOLDER.findall(english):
        numbers.setdefault(found, f"%{len(numbers) + 1}")
    if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(chinese)):
        return None
    english, chinese = (
        PLACEHOLDER.sub(lambda found: numbers[found[0]], text).strip().translate(PLAIN)
        for text in (english, chinese)
    )
    chinese = re.sub(r"\s*([，：；？！（）])\s*", r"\1", chinese.translate(WIDE))
    chinese = re.sub(r"(?<=[\u4e00-\u9fff])\.$", "。", chinese)
    # A plural form would follow after "\0", which is none of the usual marks either.
    if not (ENGLISH.fullmatch(english) and CHINESE.fullmatch(chinese)):
        return None
    if not re.search(r"[A-Za-z]", english) or not re.search(r"[\u4e00-\u9fff]", chinese):
        return None
    if any(len(text_tokens(t)) > n for t, n in zip((english, chinese), LONGEST, strict=True)):
        return None
    return english, chinese


def without_repeats(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep one pair of those whose English text has the same letters and digits; sort them."""
    kept = {}
    for pair, _ in Counter(pairs).most_common():
        kept.setdefault("".join(filter(str.isalnum, pair[0].lower())), pair)
    return sorted(kept.values())


def main() -> None:
    """Pack the file and print the hash that companion.data.SOURCES must hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where both wheels are unpacked")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file to write")
    arguments = parser.parse_args()

    found = []
    for pattern in CATALOGUES:
        files = sorted(arguments.folder.glob(pattern))
        if not files:
            parser.error(f"{arguments.folder} has no {pattern}")
        texts = [pair for file in files for pair in read_catalogue(file.read_bytes()).items()]
        good = [pair for pair in (cleaned(*texts) for texts in texts) if pair]
        print(f"{pattern}: {len(texts)} texts, {len(good)} of them good")
        found += good
    pairs = without_repeats(found)
    contents = "\n".join("\t".join(pair) for pair in pairs).encode()
    arguments.output.write_bytes(lzma.compress(contents, preset=9 | lzma.PRESET_EXTREME))
    print(f"{arguments.output}: {len(pairs)} pairs, {len(contents):,} bytes")
    print(f"SHA-256 of the contents: {hashlib.sha256(contents).hexdigest()}")


if __name__ == "__main__":
    main()
