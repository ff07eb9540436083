import copy
import gettext
import hashlib
import io
import itertools
import lzma
import pickle
import re
import struct
import sys

import pytest
import torch

from companion import text
from companion.data import packaged
from companion.text import (
    Vocabulary,
    common_tokens,
    count_ngrams,
    mark_unknown,
    nearest_texts,
    ngram_probabilities,
    split_texts,
    text_tokens,
)


def test_help_topics_are_plain_texts_in_order():
    topics = text.help_topics()
    assert len(topics) == 77
    assert list(topics) == sorted(topics)
    assert sum(map(len, topics.values())) == 317_113
    together = "\n\n".join(topics.values())
    assert together.isascii()
    assert "\f" not in together
    assert "::=" not in together
    assert len(set(together)) == 94
    assert topics["break"].startswith('The "break" statement\n****')
    assert min(map(len, topics.values())) >= 200
    topics.clear()  # a dictionary of one's own
    assert len(text.help_topics()) == 77


def test_no_topic_gives_away_another():
    """Of all runs of 30 characters, hardly any stands in two topics."""
    topics = text.help_topics()
    runs = [{t[i : i + 30] for i in range(len(t) - 29)} for t in topics.values()]
    twice = sum(map(len, runs)) - len(set().union(*runs))
    assert twice / sum(map(len, runs)) < 0.01


@pytest.mark.skipif(sys.version_info[:3] != (3, 11, 7), reason="other versions have other texts")
def test_the_topics_are_pythons_own():
    import pack_help_topics as tool

    made = {name: own.translate(tool.PLAIN) for name, own in tool.topics.items()}
    assert tool.without_repeats(made) == text.help_topics()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("held_out", [0.05, 0.1, 0.3])
def test_split_keeps_each_topic_whole_and_once(seed, held_out):
    topics = {f"topic {i}": f"<{i}>" * (i + 1) for i in range(30)}
    parts = text.split_topics(topics, seed, held_out)
    found = [part.split("\n\n") for part in parts]
    assert sorted(t for part in found for t in part) == sorted(topics.values())
    total, longest = sum(map(len, topics.values())), max(map(len, topics.values()))
    for part in found[1:]:
        size = sum(map(len, part))
        assert held_out * total <= size < held_out * total + longest


def test_split_depends_on_the_seed_alone():
    topics = text.help_topics()
    before = torch.get_rng_state()
    first = text.split_topics(topics, seed=1)
    assert torch.get_rng_state().equal(before)
    turned = dict(reversed(topics.items()))
    assert text.split_topics(turned, seed=1) == first
    assert text.split_topics(topics, seed=2) != first
    share = len(first[0]) / sum(map(len, topics.values()))
    assert 0.6 < share < 0.82


# Texts and their translations


def letters(sample):
    return re.sub(r"[\W_]", "", sample.lower())


def test_interface_texts_are_clean_pairs_in_order():
    pairs = text.interface_texts()
    assert len(pairs) == 3670
    assert pairs == sorted(pairs)
    assert {type(pair) for pair in pairs} == {tuple}
    assert {len(pair) for pair in pairs} == {2}
    assert len({letters(english) for english, _ in pairs}) == 3670
    for english, chinese in pairs:
        assert english.isascii()
        assert re.search("[A-Za-z]", english)
        assert re.search("[一-鿿]", chinese)
        for one in (english, chinese):
            assert one == " ".join(one.split())
            assert not re.search(r"[{}<>`_*$=@#\\\[\]“”‘’「」…\u200b]|://", one)
        assert not re.search("[,:;?!()']", chinese)
        places = re.findall(r"%\d", english)
        assert list(dict.fromkeys(places)) == [f"%{i + 1}" for i in range(len(set(places)))]
        assert sorted(places) == sorted(re.findall(r"%\d", chinese))
        assert "%" not in re.sub(r"%\d", "", english + chinese)
    assert max(len(text_tokens(english)) for english, _ in pairs) == 16
    assert max(len(text_tokens(chinese)) for _, chinese in pairs) == 30
    assert dict(pairs)["'%1' unpublished."] == '"%1" 未发布。'
    pairs.clear()  # a list of one's own
    assert len(text.interface_texts()) == 3670


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("held_out", [0.05, 0.1, 0.3])
def test_no_text_stands_on_two_sides(seed, held_out):
    pairs = text.interface_texts()
    parts = split_texts(pairs, seed, held_out)
    assert sorted(pair for part in parts for pair in part) == pairs
    for part in parts[1:]:
        assert held_out * len(pairs) <= len(part) < held_out * len(pairs) + 10
    for side in (0, 1):
        a, b, c = ({letters(pair[side]) for pair in part} for part in parts)
        assert a.isdisjoint(b)
        assert a.isdisjoint(c)
        assert b.isdisjoint(c)


def test_what_is_tied_together_over_others_stays_together():
    """No two neighbours in this chain share more than one text, yet all of it is one group."""
    chain = [
        ("a", "1"),
        ("A!", "2"),
        ("b", "2。"),
        ("B b", "3"),
        ("bb", "4"),
        ("c", "4"),
        ("C", "1"),
    ]
    alone = [(x, f"0{x}") for x in "defghijklmno"]
    tied = {
        ("a", "1"),
        ("A!", "2"),
        ("b", "2。"),
        ("c", "4"),
        ("C", "1"),
        ("B b", "3"),
        ("bb", "4"),
    }
    for seed in range(20):
        parts = split_texts(chain + alone, seed)
        assert sorted(len(tied.intersection(part)) for part in parts) == [0, 0, 7]
        assert sum(map(len, parts)) == 19


def test_the_languages_are_not_mixed_up_and_repeats_are_kept():
    """The English of one pair is the Chinese of another: that ties nothing."""
    pairs = [(str(i), str(i + 1)) for i in range(8)]
    assert [len(part) for part in split_texts(pairs, held_out=0.25)] == [4, 2, 2]
    assert [len(part) for part in split_texts(pairs, held_out=0.26)] == [2, 3, 3]
    pairs = [["a", "b"], ["a", "b"], ["c", "d"], ["e", "f"]]
    parts = split_texts(pairs, seed=1)
    assert sorted(itertools.chain(*parts)) == [tuple(pair) for pair in pairs]
    assert sorted(map(len, parts)) == [1, 1, 2]


def test_the_split_of_pairs_depends_on_the_seed_alone():
    pairs = text.interface_texts()
    before = torch.get_rng_state()
    first = split_texts(pairs, seed=1)
    assert torch.get_rng_state().equal(before)
    assert split_texts(iter(pairs[::-1]), seed=1) == first
    assert split_texts(pairs, seed=2) != first
    assert split_texts(pairs) == split_texts(pairs, seed=0, held_out=0.1)
    assert first[0] != sorted(first[0])


@pytest.mark.parametrize(
    ("sample", "tokens"),
    [
        ("", []),
        (" \t\n", []),
        ("Open File", ["open", "file"]),
        ("Loading...", ["loading", "..."]),
        ("....", ["...", "."]),
        ("Isn't 'this' theirs'?", ["isn't", "'", "this", "'", "theirs", "'", "?"]),
        ("'%1'/%23%", ["'", "%1", "'", "/", "%23", "%"]),
        ("utf8 in UTF-8", ["utf8", "in", "utf", "-", "8"]),
        ("snake_case", ["snake", "_", "case"]),
        ("Über Ärger", ["über", "ärger"]),
        ("已选择%1 个页面。", ["已", "选", "择", "%1", "个", "页", "面", "。"]),
        ("在Markdown单元格", ["在", "markdown", "单", "元", "格"]),
        ("\u3400\u3401\U00020000\U00020001", ["\u3400", "\u3401", "\U00020000", "\U00020001"]),
        ("\uf900\uf901", ["\uf900", "\uf901"]),
        ("a，b（c）", ["a", "，", "b", "（", "c", "）"]),
    ],
)
def test_texts_are_cut_into_words_and_characters(sample, tokens):
    assert text_tokens(sample) == tokens


def test_nothing_but_spaces_is_lost_between_tokens():
    for pair in text.interface_texts():
        for one in pair:
            assert "".join(text_tokens(one)) == one.lower().replace(" ", "")


@pytest.mark.parametrize("at_least", [1, 2, 3, 4, 9])
def test_common_tokens_are_counted_over_all_lists(at_least):
    lists = [["a", "a", "b"], [], ("c", "a"), ["b"], iter(["d", "b", "b"])]
    counts = {"a": 3, "b": 4, "c": 1, "d": 1}
    expected = {token for token, count in counts.items() if count >= at_least}
    assert common_tokens(iter(lists), at_least) == expected


def test_tokens_that_come_twice_are_common_unless_told_otherwise():
    assert common_tokens([["a"], ["a", "b"]]) == {"a"}
    assert common_tokens([]) == set()


@pytest.mark.parametrize("known", [{"a", "c"}, ["a", "c"], Vocabulary("ac"), {"a": 1, "c": 2}])
def test_unknown_tokens_are_marked_in_their_places(known):
    assert mark_unknown(["a", "bc", "c", "b"], known) == ["a", "<unk>", "c", "<unk>"]
    assert mark_unknown(iter("ab"), known, mark="?") == ["a", "?"]
    assert mark_unknown([], known) == []


def likeness(x, y):
    """Dice's measure, by striking out one by one what both have."""
    x, y = ([*t, *itertools.pairwise(t)] for t in (x, y))
    size, rest = len(x) + len(y), list(y)
    for run in x:
        if run in rest:
            rest.remove(run)
    return 2 * (len(y) - len(rest)) / size


def test_the_nearest_texts_by_hand():
    texts = [text_tokens(t) for t in ("the file", "open", "open the the tab", "", "new file")]
    query = text_tokens("open the file")
    found = nearest_texts(query, texts, n=5)
    # 3 tokens and 2 pairs; shared: the, file, the file; open; open, the, open the; none; file
    assert found == [(0, 6 / 8), (2, 6 / 12), (1, 2 / 6), (4, 2 / 8), (3, 0)]
    assert nearest_texts(query, texts) == found[:1]
    assert nearest_texts(query, texts, n=2) == found[:2]
    assert nearest_texts(["x"], texts, n=3) == [(0, 0), (1, 0), (2, 0)]
    assert nearest_texts(["a", "a", "a"], [["a"], ["a", "a"]], n=2) == [(1, 6 / 8), (0, 2 / 6)]


def draw(n, generator):
    return ["abcd"[i] for i in torch.randint(0, 4, (n,), generator=generator)]


def test_the_nearest_texts_are_those_that_share_most():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        sizes = torch.randint(0, 6, (20,), generator=generator).tolist()
        texts = [draw(n, generator) for n in sizes]
        query = draw(4, generator)
        wanted = sorted((-likeness(query, t), i) for i, t in enumerate(texts))
        found = nearest_texts(query, texts, n=20)
        assert [i for i, _ in found] == [i for _, i in wanted]
        assert [s for _, s in found] == pytest.approx([-s for s, _ in wanted])
        assert nearest_texts(query, [*texts, query], n=1)[0][1] == 1


# How the pairs were made


@pytest.mark.parametrize(
    ("english", "chinese", "pair"),
    [
        ("menu\x04 Open… ", "打开…\u200b", ("Open...", "打开...")),
        ("“It’s” – 5\u00a0ok", "「它」,好", ('"It\'s" - 5 ok', '"它"，好')),
        ("No (yet).", "还 (没有) 。", ("No (yet).", "还（没有）。")),
        ("Stop.", "停.", ("Stop.", "停。")),
        ("Stop v.", "停v.", ("Stop v.", "停v.")),
        ("%(b)s of {a}, %(b)s", "{a}的%(b)s%(b)s", ("%1 of %2, %1", "%2的%1%1")),
        ("%2 of %1", "%1 的 %2", ("%1 of %2", "%2 的 %1")),
        ("'%s': no", "'%s': 不", ("'%1': no", '"%1"：不')),
        ("a " * 16, "好" * 30, (("a " * 16).strip(), "好" * 30)),
        ("a " * 17, "好" * 30, None),
        ("a " * 16, "好" * 31, None),
        ("%1 file\x00%1 files", "%1 个文件", None),
        ("%1 file", "文件", None),
        ("%1 file", "%1 %1 个文件", None),
        ("Jupyter", "Jupyter", None),
        ("Save", "", None),
        ("%1: %2", "%1：%2好", None),
        ("one\ntwo", "一二", None),
        ("one two", "一\n二", None),
        ("`a` b", "好", None),
        ("ab", "`好", None),
        ("see http://a.b", "见 http_", None),
        ("© us", "我们", None),
        ("us", "我们😭", None),
    ],
)
def test_pairs_are_cleaned_or_left_out(english, chinese, pair):
    import pack_interface_texts as tool

    assert tool.cleaned(english, chinese) == pair


def test_of_repeated_english_texts_the_most_frequent_pair_is_kept():
    import pack_interface_texts as tool

    pairs = [("Log out", "出"), ("Logout...", "登出"), ("tag", "1"), ("LOG OUT!", "登出")]
    pairs += [("Logout...", "登出"), ("Tag", "2"), ("Tags", "1")]
    kept = [("Logout...", "登出"), ("Tags", "1"), ("tag", "1")]
    assert tool.without_repeats(iter(pairs)) == kept


def compiled(texts):
    """A catalogue as GNU gettext compiles it."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n"} | texts
    columns = [[t.encode() for t in sorted(texts)], [texts[t].encode() for t in sorted(texts)]]
    n, start = len(texts), 28 + 16 * len(texts)
    tables, body = b"", b""
    for column in columns:
        for one in column:
            tables += struct.pack("<2I", len(one), start + len(body))
            body += one + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, start) + tables + body


def test_catalogues_are_read_as_pythons_gettext_reads_them():
    import pack_interface_texts as tool

    texts = {"Open": "打开", "Close": "关闭", "menu\x04Tab": "标签"}
    contents = compiled(texts)
    assert tool.read_catalogue(contents) == texts
    pythons = gettext.GNUTranslations(io.BytesIO(contents))
    assert pythons.gettext("Close") == "关闭"
    assert pythons.pgettext("menu", "Tab") == "标签"
    with pytest.raises(ValueError, match="compiled catalogue"):
        tool.read_catalogue(contents[1:])


def test_the_tool_packs_the_catalogues_of_both_packages(tmp_path, monkeypatch, capsys):
    import pack_interface_texts as tool

    output = tmp_path / "out.xz"
    monkeypatch.setattr(sys, "argv", ["tool", str(tmp_path), "--output", str(output)])
    catalogues = {
        "jupyterlab_language_pack_zh_CN/locale/zh_CN": {"Undo": "撤销", "Save %1": "保存 %1"},
        "wagtail/admin/locale/zh_Hans": {"Save %(title)s": "保存%(title)s", "Page": "页面"},
        "wagtail/users/locale/zh_Hans": {"Users": "用户", "Save {x}": "保存{x}"},
        "wagtail/users/locale/zh_Hant": {"Groups": "群組"},
        "other/locale/zh_Hans": {"More": "更多"},
    }
    for folder, texts in catalogues.items():
        if folder.startswith("wagtail/admin"):
            with pytest.raises(SystemExit):
                tool.main()
            assert "has no wagtail/" in capsys.readouterr().err
        path = tmp_path / folder / "LC_MESSAGES" / "django.mo"
        path.parent.mkdir(parents=True)
        path.write_bytes(compiled(texts))
    tool.main()
    contents = lzma.decompress(output.read_bytes())
    assert contents.decode() == "Page\t页面\nSave %1\t保存%1\nUndo\t撤销\nUsers\t用户"
    printed = capsys.readouterr().out
    assert "4 pairs" in printed
    assert hashlib.sha256(contents).hexdigest() in printed


def test_the_packed_pairs_are_such_as_the_tool_makes():
    import pack_interface_texts as tool

    pairs = text.interface_texts()
    assert [tool.cleaned(*pair) for pair in pairs] == pairs
    assert tool.without_repeats(pairs) == pairs
    assert "\n".join(map("\t".join, pairs)).encode() == packaged("interface_texts.xz")


# Vocabulary


@pytest.mark.parametrize("tokens", ["banana", "a", ["two", "one", "two"], ("x", "")])
def test_vocabulary_goes_there_and_back(tokens):
    vocabulary = Vocabulary(tokens)
    assert vocabulary.tokens == tuple(sorted(set(tokens)))
    assert len(vocabulary) == len(set(tokens))
    numbers = vocabulary.encode(tokens)
    assert numbers.dtype == torch.int64
    assert [vocabulary.tokens[i] for i in numbers] == list(tokens)
    assert vocabulary.decode(numbers) == vocabulary.decode(numbers.tolist()) == "".join(tokens)
    assert vocabulary.decode(numbers, separator=" ") == " ".join(tokens)


def test_vocabulary_of_nothing_read():
    vocabulary = Vocabulary("ab")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.encode("").dtype == torch.int64
    assert vocabulary.decode([]) == vocabulary.decode(torch.tensor([], dtype=torch.int64)) == ""


def test_special_tokens_come_first():
    vocabulary = Vocabulary(["b", "<end>", "a"], special=["<pad>", "<end>"])
    assert vocabulary.tokens == ("<pad>", "<end>", "a", "b")
    assert "<pad>" in vocabulary
    assert "c" not in vocabulary
    assert vocabulary.encode(["a", "<end>"]).tolist() == [2, 1]
    assert Vocabulary([], special=["<pad>"]).tokens == ("<pad>",)


def test_vocabulary_does_not_change():
    vocabulary = Vocabulary("ab", special=["<z>"])
    for change in ("tokens", "_tokens", "_numbers", "new"):
        with pytest.raises(AttributeError):
            setattr(vocabulary, change, ())
    with pytest.raises(AttributeError):
        del vocabulary._tokens
    with pytest.raises(TypeError):
        vocabulary.tokens[0] = "c"
    assert vocabulary.tokens == ("<z>", "a", "b")
    for twin in (copy.copy(vocabulary), copy.deepcopy(vocabulary)):
        assert twin == vocabulary
    twin = pickle.loads(pickle.dumps(vocabulary))
    assert twin == vocabulary
    assert hash(twin) == hash(vocabulary)
    assert twin.encode(["b", "<z>"]).tolist() == [2, 0]
    assert vocabulary != Vocabulary("ab")
    assert Vocabulary("abba") == Vocabulary(["b", "a"])
    assert vocabulary != ("<z>", "a", "b")


# Counting


@pytest.mark.parametrize("sample", ["banana", "", "ab", "aaaa", "to be or not to be"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_counts_by_hand(sample, n):
    counts = count_ngrams(sample, n)
    assert len(counts) == n
    for k, counter in enumerate(counts, start=1):
        assert sum(counter.values()) == max(0, len(sample) - k + 1)
        for run, count in counter.items():
            assert len(run) == k
            assert count == sum(sample.startswith(run, i) for i in range(len(sample)))


@pytest.mark.parametrize("shorter", [True, False])
@pytest.mark.parametrize("prior", [0.1, 1, 30.0])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_probabilities_sum_to_one_after_any_text(n, prior, shorter):
    counts = count_ngrams("abracadabra", n)
    letters = "abcdrx"  # x has never been seen
    for start in itertools.islice(itertools.product(letters, repeat=n - 1), 40):
        p = [
            ngram_probabilities("".join(start) + c, counts, len(letters), prior, shorter)
            for c in letters
        ]
        assert torch.cat(p).sum().item() == pytest.approx(1)
        assert torch.cat(p).min() > 0


def test_add_one_is_add_one():
    counts = count_ngrams("banana", 2)
    p = ngram_probabilities("nabb", counts, size=3, prior=3, shorter=False)
    # after n: a twice of two; after a: b never, n twice; after b: b never of one
    torch.testing.assert_close(p, torch.tensor([3 / 5, 1 / 5, 1 / 4], dtype=torch.float64))


def test_shorter_runs_are_the_belief_before_counting():
    counts = count_ngrams("abab", 2)
    single = (2 + 1 / 2) / (4 + 1)
    p = ngram_probabilities("bb", counts, size=2)
    assert p.tolist() == pytest.approx([(0 + single) / (1 + 1)])
    never = ngram_probabilities("ab", count_ngrams("bb", 2), size=2)  # after a: nothing known
    assert never.tolist() == pytest.approx([(2 + 1 / 2) / (2 + 1)])


def test_each_length_may_have_its_own_prior():
    counts, sample = count_ngrams("abracadabra", 3), "cadabrac"
    one = ngram_probabilities(sample, counts, 5, prior=2.0)
    torch.testing.assert_close(one, ngram_probabilities(sample, counts, 5, prior=[2.0, 2.0, 2.0]))
    single = (2 + 4 / 2) / (4 + 4)
    p = ngram_probabilities("bb", count_ngrams("abab", 2), size=2, prior=[4.0, 0.5])
    assert p.tolist() == pytest.approx([(0 + 0.5 * single) / (1 + 0.5)])


def test_texts_shorter_than_the_memory_give_nothing():
    assert ngram_probabilities("ab", count_ngrams("abc", 3), size=3).shape == (0,)
    assert ngram_probabilities("", count_ngrams("abc", 1), size=3).shape == (0,)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: text.split_topics({"a": "b"}), ValueError, "at least three topics, got 1"),
        (lambda: text.split_topics(["a", "b", "c"]), TypeError, "a mapping, got list"),
        (lambda: text.split_topics(dict.fromkeys("abc", "x"), 0, 0.6), ValueError, "got 0.6"),
        (lambda: text.split_topics(dict.fromkeys("abc", "x"), 0, 0.0), ValueError, "got 0.0"),
        (lambda: text.split_topics(dict.fromkeys("abc", "x"), 0, 0.4), ValueError, "no topic"),
        (lambda: split_texts("ab"), TypeError, "a list of pairs, got str"),
        (lambda: split_texts({"a": "b"}), TypeError, "a list of pairs, got dict"),
        (lambda: split_texts(3), TypeError, "a list of pairs, got int"),
        (lambda: split_texts(["ab"]), TypeError, "pairs of two strings, got 'ab'"),
        (lambda: split_texts([("a", "b", "c")]), TypeError, r"got \('a', 'b', 'c'\)"),
        (lambda: split_texts([("a", "b"), ("c", 1)]), TypeError, r"got \('c', 1\)"),
        (lambda: split_texts([("a", "b")], 0, 0.5), ValueError, "below 0.5, got 0.5"),
        (lambda: split_texts([("a", "b")], 0, 0), ValueError, "above 0 .*, got 0"),
        (lambda: split_texts([("a", "b")], 0, float("nan")), ValueError, "got nan"),
        (lambda: split_texts([]), ValueError, "0.1 of 0 leaves no pair"),
        (lambda: split_texts([(x, "b") for x in "acdef"]), ValueError, "0.1 of 5 leaves no pair"),
        (lambda: text_tokens(["a"]), TypeError, "a string, got list"),
        (lambda: text_tokens(None), TypeError, "a string, got NoneType"),
        (lambda: common_tokens("ab"), TypeError, "the string 'a'"),
        (lambda: common_tokens([["a"], "bc"]), TypeError, "the string 'bc'"),
        (lambda: common_tokens([["a"]], 0), ValueError, "at least 1, got 0"),
        (lambda: common_tokens([["a"]], 1.0), TypeError, "an integer, got 1.0"),
        (lambda: common_tokens([["a"]], True), TypeError, "an integer, got True"),
        (lambda: mark_unknown("ab", {"a"}), TypeError, "tokens must hold .* 'ab'"),
        (lambda: mark_unknown(["a"], "abc"), TypeError, "known must hold .* 'abc'"),
        (lambda: mark_unknown(["a"], {"a"}, 0), TypeError, "mark must be a string, got 0"),
        (lambda: nearest_texts("ab", [["a"]]), TypeError, "lists of tokens, got 'ab'"),
        (lambda: nearest_texts(["a"], ["a"]), TypeError, "lists of tokens, got 'a'"),
        (lambda: nearest_texts(iter("a"), [["a"]]), TypeError, "lists of tokens, got <"),
        (lambda: nearest_texts(["a"], "a"), TypeError, "a list, got str"),
        (lambda: nearest_texts(["a"], iter([["a"]])), TypeError, "a list, got list_iterator"),
        (lambda: nearest_texts([], [["a"]]), ValueError, "at least one token, got none"),
        (lambda: nearest_texts(["a"], [["a"]], 2), ValueError, "from 1 to 1, .* got 2"),
        (lambda: nearest_texts(["a"], [["a"]], 0), ValueError, "from 1 to 1, .* got 0"),
        (lambda: nearest_texts(["a"], [["a"]], 1.0), TypeError, "an integer, got 1.0"),
        (lambda: nearest_texts(["a"], [["a"]], True), TypeError, "an integer, got True"),
        (lambda: nearest_texts(["a"], []), ValueError, "from 1 to 0, .* got 1"),
        (lambda: Vocabulary(""), ValueError, "at least one token"),
        (lambda: Vocabulary([1, 2]), TypeError, "a string, got 1"),
        (lambda: Vocabulary("a", special="<pad>"), TypeError, "the string '<pad>'"),
        (lambda: Vocabulary("a", special=["x", "x"]), ValueError, "each special token once"),
        (lambda: Vocabulary("ab").encode("abc"), ValueError, "got 'c' at place 2"),
        (lambda: Vocabulary(["one"]).encode("one"), ValueError, "got 'o' at place 0"),
        (lambda: Vocabulary("ab").decode([0, 2]), ValueError, "from 0 to 1, got 2"),
        (lambda: Vocabulary("ab").decode([-1]), ValueError, "from 0 to 1, got -1"),
        (lambda: Vocabulary("ab").decode([0.5]), ValueError, "whole numbers, got 0.5"),
        (lambda: Vocabulary("ab").decode(torch.tensor([0.0])), ValueError, "whole numbers"),
        (lambda: count_ngrams("ab", 0), ValueError, "at least 1, got 0"),
        (lambda: count_ngrams("ab", 1.0), TypeError, "an integer, got 1.0"),
        (lambda: ngram_probabilities("a", [], 2), ValueError, "at least one length"),
        (lambda: ngram_probabilities("a", count_ngrams("ab", 1), 1), ValueError, "least 2, got 1"),
        (lambda: ngram_probabilities("a", count_ngrams("a", 1), 1, 0), ValueError, "positive"),
        (lambda: ngram_probabilities("a", count_ngrams("a", 1), 1, [1, 2]), ValueError, "1 priors"),
        (
            lambda: ngram_probabilities("a", count_ngrams("a", 1), 1, float("nan")),
            ValueError,
            "positive, got nan",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
