import datetime
import itertools
import math
import random

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion.recurrent import LSTM
from companion.seq2seq import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    Hypothesis,
    Seq2Seq,
    Seq2SeqConfig,
    beam_search,
    chinese_date,
    corpus_bleu,
    decoder_batch,
    english_date,
    greedy_search,
    pad_tokens,
    split_dates,
)

# Dates

ALL = [datetime.date(1900, 1, 1) + datetime.timedelta(days=i) for i in range(73_049)]


@pytest.mark.parametrize(
    ("date", "english", "american", "chinese"),
    [
        (
            (1900, 1, 1),
            "the first of january nineteen hundred",
            "january the first nineteen hundred",
            "一九〇〇年一月一日",
        ),
        (
            (1909, 12, 31),
            "the thirty first of december nineteen oh nine",
            "december the thirty first nineteen oh nine",
            "一九〇九年十二月三十一日",
        ),
        (
            (1910, 2, 20),
            "the twentieth of february nineteen ten",
            "february the twentieth nineteen ten",
            "一九一〇年二月二十日",
        ),
        (
            (2000, 10, 30),
            "the thirtieth of october two thousand",
            "october the thirtieth two thousand",
            "二〇〇〇年十月三十日",
        ),
        (
            (2001, 11, 12),
            "the twelfth of november two thousand and one",
            "november the twelfth two thousand and one",
            "二〇〇一年十一月十二日",
        ),
        (
            (2099, 9, 29),
            "the twenty ninth of september twenty ninety nine",
            "september the twenty ninth twenty ninety nine",
            "二〇九九年九月二十九日",
        ),
    ],
)
def test_dates_in_words(date, english, american, chinese):
    date = datetime.date(*date)
    assert english_date(date) == english
    assert english_date(date, month_first=True) == american
    assert chinese_date(date) == chinese


@pytest.mark.nocheck
def test_each_date_has_words_of_its_own():
    for write in (english_date, lambda d: english_date(d, True), chinese_date):
        assert len(set(map(write, ALL))) == len(ALL)
    chinese = set("".join(map(chinese_date, ALL)))
    assert chinese == set("〇一二三四五六七八九十年月日")
    assert {len(chinese_date(date)) for date in ALL} == set(range(9, 13))


@pytest.mark.nocheck
def test_chinese_dates_can_be_read():
    """Parsed by other rules than those that wrote them."""

    def number(text):
        tens, found, ones = text.rpartition("十")
        value = "〇一二三四五六七八九".index
        return (10 * (value(tens) if tens else 1) if found else 0) + (value(ones) if ones else 0)

    for date in ALL[::7]:
        year, rest = chinese_date(date).split("年")
        month, day = rest.removesuffix("日").split("月")
        digits = "".join(str("〇一二三四五六七八九".index(c)) for c in year)
        assert (int(digits), number(month), number(day)) == (date.year, date.month, date.day)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("held_out", [1, 1000, 36_524])
def test_split_gives_each_date_to_one_part(seed, held_out):
    before = torch.get_rng_state()
    train, validation, test = split_dates(held_out, seed)
    assert torch.get_rng_state().equal(before)
    assert len(validation) == len(test) == held_out
    assert sorted(train + validation + test) == ALL
    assert split_dates(held_out, seed)[2] == test
    assert split_dates(held_out, seed + 2)[2] != test


# Batches


def test_padding_and_what_the_decoder_reads():
    sequences = [torch.tensor([5]), torch.tensor([6, 7, 8]), torch.tensor([9, 3])]
    padded, lengths = pad_tokens(sequences)
    assert lengths.tolist() == [1, 3, 2]
    read, say = decoder_batch(sequences)
    assert read.shape == say.shape == (3, 4)
    for row, r, s, sequence in zip(padded, read, say, sequences, strict=True):
        n = len(sequence)
        assert row.tolist() == sequence.tolist() + [PAD] * (3 - n)
        assert r.tolist() == [BOS, *sequence.tolist()] + [PAD] * (3 - n)
        assert s.tolist() == [*sequence.tolist(), EOS] + [PAD] * (3 - n)
    assert SPECIAL[PAD] == "<pad>"
    assert SPECIAL[BOS] == "<bos>"
    assert SPECIAL[EOS] == "<eos>"


# The model


def small(layers=2, **sizes):
    torch.manual_seed(1)
    sizes = {"source_size": 9, "target_size": 7, "embedding": 4, "hidden": 5} | sizes
    return Seq2Seq(Seq2SeqConfig(num_layers=layers, **sizes)).double()


@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_two_of_torchs_networks(layers):
    """Values and gradients are those of torch's LSTMs, packed, with the same weights."""
    model = small(layers)
    sources = [torch.tensor([3, 4, 5, 8]), torch.tensor([6]), torch.tensor([7, 3])]
    source, lengths = pad_tokens(sources)
    read, say = decoder_batch([torch.tensor([3, 6]), torch.tensor([4]), torch.tensor([5, 5, 3])])
    theirs = [nn.LSTM(4, 5, layers, batch_first=True, dtype=torch.float64) for _ in range(2)]
    for their, our in zip(theirs, (model.encoder, model.decoder), strict=True):
        their.load_state_dict(our.state_dict())
    x = nn.functional.embedding(source, model.source_embedding.weight)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    _, h = theirs[0](packed)
    out, _ = theirs[1](nn.functional.embedding(read, model.target_embedding.weight), h)
    expected = nn.functional.linear(out, model.head.weight, model.head.bias)
    logits = model(source, lengths, read)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)

    def loss(logits):
        return nn.functional.cross_entropy(logits.flatten(0, 1), say.flatten(), ignore_index=PAD)

    loss(expected).backward()
    table = model.source_embedding.weight.grad.clone()
    model.zero_grad()
    loss(logits).backward()
    pairs = [(table, model.source_embedding.weight.grad)]
    for their, our in zip(theirs, (model.encoder, model.decoder), strict=True):
        pairs += [(w.grad, our.get_parameter(name).grad) for name, w in their.named_parameters()]
    for theirs_is, ours_is in pairs:
        torch.testing.assert_close(ours_is, theirs_is, rtol=0, atol=1e-12)


def test_padding_changes_nothing_with_lengths_and_much_without():
    model = small()
    alone = torch.tensor([[3, 4, 5]])
    padded = torch.tensor([[3, 4, 5, PAD, PAD]])
    torch.testing.assert_close(model.encode(alone), model.encode(padded, torch.tensor([3])))
    for right, wrong in zip(model.encode(alone), model.encode(padded), strict=True):
        assert (right - wrong).abs().max() > 0.01


def test_steps_are_the_whole():
    model = small()
    state = model.encode(torch.tensor([[3, 4], [5, 6]]))
    read = torch.tensor([[BOS, 3, 4], [BOS, 5, 6]])
    whole, last = model.decode(read, state)
    for t in range(3):
        logits, state = model.step(read[:, t], state)
        torch.testing.assert_close(logits, whole[:, t])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("bias", [0.0, 2.5])
def test_forget_gates_begin_with_their_bias(bias):
    model = Seq2Seq(Seq2SeqConfig(5, 5, hidden=3, num_layers=2, forget_bias=bias))
    for name in ("encoder", "decoder"):
        lstm = getattr(model, name)
        for layer in range(2):
            both = [getattr(lstm, f"bias_{k}_l{layer}").detach() for k in ("ih", "hh")]
            assert (sum(both)[3:6] == bias).all()
            rest = torch.cat([*both, *both])[[0, 1, 2, 6, 7, 8, 9, 10]]
            assert rest.abs().min() > 0  # the other gates are torch's


def test_state_dict_names():
    names = set(Seq2Seq(Seq2SeqConfig(5, 5)).state_dict())
    assert {"source_embedding.weight", "encoder.weight_ih_l0", "decoder.bias_hh_l0"} < names
    assert isinstance(small().encoder, LSTM)


# Searches: against all sequences that there are


def all_sequences(step, state, eos, bos, max_length, size):
    """Try every sequence; give its log probability."""
    found = {}
    for length in range(max_length + 1):
        for tokens in itertools.product([v for v in range(size) if v != eos], repeat=length):
            end = (eos,) if length < max_length else ()
            now, total, last = state, 0.0, bos
            for token in (*tokens, *end):
                logits, now = step(torch.tensor([last]), now)
                total += logits.log_softmax(-1)[0, token].item()
                last = token
            found[tokens] = total
    return found


def table_step(size, seed, places=5):
    """Return a step whose logits depend on the place, the last token and a sum over all tokens."""
    generator = torch.Generator().manual_seed(seed)
    table = 2 * torch.randn(places, size, 4, size, generator=generator, dtype=torch.float64)

    def step(tokens, state):
        place, seen = state
        logits = table[place, tokens, seen % 4]
        return logits, (place + 1, seen + tokens * (place + 1))

    return step, (torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 4), max_length=st.integers(1, 3))
def test_a_wide_beam_finds_everything(seed, size, max_length):
    step, state = table_step(size, seed)
    bos, eos = 0, size - 1
    truth = all_sequences(step, state, eos, bos, max_length, size)
    found = beam_search(step, state, size**max_length, bos=bos, eos=eos, max_length=max_length)[0]
    assert {h.tokens for h in found} == set(truth)
    for h in found:
        assert h.log_probability == pytest.approx(truth[h.tokens], abs=1e-9)
        assert h.ended == (len(h.tokens) < max_length)
    assert sum(math.exp(h.log_probability) for h in found) == pytest.approx(1)
    ordered = [h.log_probability for h in found]
    assert ordered == sorted(ordered, reverse=True)


def by_hand(step, state, width, bos, eos, max_length, size):
    """Search with lists, one beginning at a time."""
    beam = [((), 0.0, False, state)]
    for _ in range(max_length):
        longer = []
        for tokens, total, ended, now in beam:
            if ended:
                longer.append((tokens, total, True, now))
                continue
            logits, after = step(torch.tensor([tokens[-1] if tokens else bos]), now)
            log_p = logits.log_softmax(-1)[0].tolist()
            for v in range(size):
                more = tokens if v == eos else (*tokens, v)
                longer.append((more, total + log_p[v], v == eos, after))
        beam = sorted(longer, key=lambda one: -one[1])[:width]
    return [Hypothesis(*one[:3]) for one in beam]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(2, 5),
    width=st.integers(1, 6),
    max_length=st.integers(1, 5),
)
def test_beam_equals_a_search_by_hand(seed, size, width, max_length):
    step, state = table_step(size, seed)
    bos, eos = 0, size - 1
    found = beam_search(step, state, width, bos=bos, eos=eos, max_length=max_length)[0]
    expected = by_hand(step, state, width, bos, eos, max_length, size)
    assert [h.tokens for h in found] == [h.tokens for h in expected]
    assert [h.ended for h in found] == [h.ended for h in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-9)
    greedy = greedy_search(step, state, bos=bos, eos=eos, max_length=max_length)[0]
    one = beam_search(step, state, 1, bos=bos, eos=eos, max_length=max_length)[0][0]
    assert tuple(greedy) == one.tokens


@pytest.mark.parametrize("width", [1, 3, 8])
def test_sequences_side_by_side_are_those_alone(width):
    model = small(source_size=20, target_size=9)
    for parameter in model.parameters():
        parameter.data *= 4  # sharper choices
    generator = torch.Generator().manual_seed(3)
    sources = [torch.randint(3, 20, (n,), generator=generator) for n in (1, 5, 2, 7, 3)]
    source, lengths = pad_tokens(sources)
    state = model.encode(source, lengths)
    together = beam_search(model.step, state, width, max_length=6)
    greedy = greedy_search(model.step, state, max_length=6)
    for i, one in enumerate(sources):
        own = model.encode(one[None])
        assert greedy_search(model.step, own, max_length=6)[0] == greedy[i]
        alone = beam_search(model.step, own, width, max_length=6)[0]
        assert [h.tokens for h in alone] == [h.tokens for h in together[i]]
        for ours, theirs in zip(alone, together[i], strict=True):
            assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-6)


def test_what_was_found_has_the_probability_that_it_says():
    model = small()
    state = model.encode(torch.tensor([[3, 4]]))
    for h in beam_search(model.step, state, 5, max_length=4)[0]:
        tokens = [*h.tokens, *([EOS] if h.ended else [])]
        logits, _ = model.decode(torch.tensor([[BOS, *tokens[:-1]]]), state)
        log_p = logits.log_softmax(-1)[0, range(len(tokens)), tokens].sum()
        assert h.log_probability == pytest.approx(log_p.item(), abs=1e-9)


def test_the_end_counts_as_a_token_when_lengths_are_compared():
    """The end at once has .5; three more tokens and then the end have .45, the longest .05."""
    goes_on = {0: 0.5, 1: 1.0, 2: 1.0, 3: 0.1, 4: 0.0}

    def step(tokens, place):
        p = torch.tensor([[goes_on[i], 1 - goes_on[i]] for i in place.flatten().tolist()])
        return p.log().clamp(min=-1e4), place + 1

    state = torch.zeros(1, 1, dtype=torch.int64)
    found = {}
    for alpha in (-1.0, 0.0, 1.0):
        h = beam_search(step, state, 3, bos=0, eos=1, max_length=5, length_penalty=alpha)[0]
        found[alpha] = [len(one.tokens) for one in h]
        assert h[0].log_probability == pytest.approx(math.log([0.5, 0.45][alpha > 0]), abs=1e-5)
        assert all(one.ended for one in h)
    # by the token: ln .5 / 1 = -.69, ln .45 / 4 = -.20, ln .05 / 5 = -.60; without the end
    # among the tokens the first would have no length at all
    assert found[0.0] == [0, 3, 4]
    assert found[1.0] == [3, 4, 0]
    assert found[-1.0] == [0, 3, 4]


def test_a_search_ends_at_the_greatest_length():
    def step(tokens, state):
        return torch.tensor([1.0, 0.0]).log().clamp(min=-1e9).expand(len(tokens), 2), state

    assert greedy_search(step, torch.zeros(2), bos=0, eos=1, max_length=3) == [[0, 0, 0]] * 2
    best = beam_search(step, torch.zeros(2), 2, bos=0, eos=1, max_length=3)[1][0]
    assert best.tokens == (0, 0, 0)
    assert not best.ended
    assert best.log_probability == 0


def test_a_search_needs_no_gradient():
    model = small()
    state = model.encode(torch.tensor([[3]]))
    seen = []

    def step(tokens, state):
        logits, state = model.step(tokens, state)
        seen.append(logits.requires_grad)
        return logits, state

    greedy_search(step, state, max_length=2)
    beam_search(step, state, 2, max_length=2)
    assert seen
    assert not any(seen)


# BLEU


def random_corpus(seed, n=6):
    draw = random.Random(seed)
    words = "abcde"[: draw.randint(1, 5)]

    def sentence(least=0):
        return [draw.choice(words) for _ in range(draw.randint(least, 12))]

    count = draw.randint(1, 3)
    references = [[sentence(1) for _ in range(count)] for _ in range(n)]
    hypotheses = [
        sentence() if draw.random() < 0.3 else [*draw.choice(several), *sentence()[:2]]
        for several in references
    ]
    return hypotheses, references


@pytest.mark.parametrize("seed", range(200))
def test_bleu_is_sacrebleus(seed):
    hypotheses, references = random_corpus(seed)
    judge = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    streams = [[" ".join(several[k]) for several in references] for k in range(len(references[0]))]
    theirs = judge.corpus_score([" ".join(h) for h in hypotheses], streams)
    ours = corpus_bleu(hypotheses, references)
    assert ours.score == pytest.approx(theirs.score / 100, abs=1e-9)
    assert ours.precisions == pytest.approx([p / 100 for p in theirs.precisions], abs=1e-9)
    if theirs.sys_len:
        assert ours.brevity_penalty == pytest.approx(theirs.bp, abs=1e-9)


def test_bleu_by_hand():
    """The worked example of the paper, section 2.1, and one of its own."""
    hypothesis = ["the"] * 7
    several = ["the cat is on the mat", "there is a cat on the mat"]
    assert corpus_bleu([hypothesis], [[one.split() for one in several]], max_n=1).precisions == (
        2 / 7,
    )
    right = list("abcdef")
    assert corpus_bleu([right], [[right]]).score == 1
    cut = corpus_bleu([right[:5]], [[right]])
    assert cut.precisions == (1, 1, 1, 1)
    assert cut.score == cut.brevity_penalty == pytest.approx(math.exp(1 - 6 / 5))
    swapped = corpus_bleu([list("abcdfe")], [[right]], max_n=2)
    assert swapped.precisions == (1, 3 / 5)
    assert swapped.score == pytest.approx(math.sqrt(3 / 5))


def test_bleu_sums_before_it_divides():
    long, short = list("abcdefgh"), list("xy")
    whole = corpus_bleu([long, short], [[long], [list("zz")]], max_n=1)
    assert whole.precisions == (8 / 10,)
    mean = (1 + 0) / 2
    assert whole.score != pytest.approx(mean)


def test_bleu_of_nothing_is_zero():
    assert corpus_bleu([[]], [[["a"]]]) == (0.0, (0.0,) * 4, 0.0)
    assert corpus_bleu([["a"]], [[["a"]]], max_n=2).score == 0


# Bad input


def model_call(source, lengths, read):
    return lambda: small()(torch.tensor(source), lengths, torch.tensor(read))


def step_alone(tokens, state):
    return torch.zeros(len(tokens), 3), state


DAY = datetime.date(1999, 1, 1)
BAD = (
    (lambda: english_date("1999-01-01"), TypeError, "expected a datetime.date, got '1999-01-01'"),
    (lambda: english_date(datetime.date(1899, 12, 31)), ValueError, "1900 to 2099, got 1899"),
    (lambda: chinese_date(datetime.date(2100, 1, 1)), ValueError, "1900 to 2099, got 2100"),
    (lambda: split_dates(0), ValueError, "from 1 to 36524, got 0"),
    (lambda: split_dates(36_525), ValueError, "from 1 to 36524, got 36525"),
    (lambda: split_dates(0.1), TypeError, "whole number, got 0.1"),
    (lambda: pad_tokens([]), ValueError, "at least one sequence, got none"),
    (lambda: pad_tokens([[3], []]), ValueError, "at least one token, .* at place 1"),
    (lambda: pad_tokens([torch.zeros(2, 2).long()]), ValueError, r"the shape \(2, 2\) at place 0"),
    (lambda: pad_tokens([torch.zeros(2)]), TypeError, "int64, got torch.float32 at place 0"),
    (lambda: decoder_batch([torch.tensor([])]), ValueError, "at least one token"),
    (lambda: Seq2SeqConfig(5, 0), ValueError, "target_size must be at least 1, got 0"),
    (lambda: Seq2SeqConfig(5, 5, hidden=2.0), TypeError, "hidden must be a whole number, got 2.0"),
    (lambda: Seq2SeqConfig(5, 5, forget_bias=math.inf), ValueError, "finite, got inf"),
    (model_call([[9]], None, [[1]]), ValueError, "from 0 to 8, got 9"),
    (model_call([[-1]], None, [[1]]), ValueError, "from 0 to 8, got -1"),
    (model_call([[3]], None, [[7]]), ValueError, "from 0 to 6, got 7"),
    (model_call([3], None, [[1]]), ValueError, r"tokens \(b, t\), got the shape \(1,\)"),
    (model_call([[0.5]], None, [[1]]), TypeError, "int64, got torch.float32"),
    (model_call([[3, 4]], [0], [[1]]), ValueError, "from 1 to 2, got 0"),
    (model_call([[3, 4]], [3], [[1]]), ValueError, "from 1 to 2, got 3"),
    (model_call([[3, 4]], [1, 2], [[1]]), ValueError, "a length for each of 1 sequences"),
    (model_call([[3], [4]], None, [[1]]), ValueError, r"h_0 must have the shape \(2, 1, 5\)"),
    (
        lambda: small().step(torch.tensor([[1]]), (torch.zeros(1, 2, 5),) * 2),
        ValueError,
        r"tokens \(b,\), got the shape \(1, 1\)",
    ),
    (
        lambda: small().decode(torch.tensor([[1]]), (torch.zeros(1, 2, 6).double(),) * 2),
        ValueError,
        r"h_0 must have the shape \(2, 1, 5\), got \(2, 1, 6\)",
    ),
    (
        lambda: greedy_search(step_alone, torch.zeros(1), max_length=0),
        ValueError,
        "max_length must",
    ),
    (lambda: beam_search(step_alone, torch.zeros(1), 0), ValueError, "width must be at least 1"),
    (lambda: beam_search(step_alone, torch.zeros(1), width=0), ValueError, "at least 1, got 0"),
    (lambda: beam_search(step_alone, torch.zeros(1), 1.5), TypeError, "width must be a whole"),
    (lambda: beam_search(step_alone, torch.zeros(1), max_length=1.5), TypeError, "max_length must"),
    (
        lambda: beam_search(step_alone, torch.zeros(1), length_penalty=math.nan),
        ValueError,
        "finite, got nan",
    ),
    (
        lambda: greedy_search(step_alone, torch.zeros(1), eos=-1),
        ValueError,
        "eos must be the number",
    ),
    (
        lambda: beam_search(step_alone, torch.zeros(1), bos=0.5),
        ValueError,
        "bos must be the number",
    ),
    (lambda: corpus_bleu([torch.ones(2)], [[[1, 1]]]), TypeError, "got a tensor at place 0"),
    (lambda: corpus_bleu([[1, 1]], [[torch.ones(2)]]), TypeError, "got a tensor at place 0"),
    (lambda: corpus_bleu([], []), ValueError, "got 0 for 0"),
    (lambda: corpus_bleu([["a"]], []), ValueError, "got 0 for 1"),
    (lambda: corpus_bleu([["a"]], [[]]), ValueError, "at least one reference, got none at place 0"),
    (lambda: corpus_bleu(["abc"], [[["a"]]]), TypeError, "hypothesis must be a list"),
    (lambda: corpus_bleu([["a"]], [["abc"]]), TypeError, "references must be lists of token"),
    (lambda: corpus_bleu([["a"]], [[["a"]]], max_n=0), ValueError, "at least 1, got 0"),
    (lambda: corpus_bleu([["a"]], [[["a"]]], max_n=2.0), TypeError, "whole number, got 2.0"),
)


@pytest.mark.nocheck
@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input_is_refused(number):
    wrong, error, message = BAD[number]
    with pytest.raises(error, match=message):
        wrong()
