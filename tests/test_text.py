import copy
import itertools
import pickle
import sys

import pytest
import torch

from companion import text
from companion.text import Vocabulary, count_ngrams, ngram_probabilities


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
