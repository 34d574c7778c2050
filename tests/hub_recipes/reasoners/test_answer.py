import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs2lang.reasoners.answer import parse_answer

FILMS = [{"title": title} for title in ("Alien", "Alien Resurrection", "Heat", "It", "Se7en (Director's Cut)")]


@pytest.mark.parametrize(
    ("text", "pick"),
    [
        ("B", 1),
        ("b", None),  # a letter of any word
        ("C.", 2),
        (" (D) ", 3),
        ("**B**: because of the aliens", 1),
        ("E\nbecause it is dark", 4),
        ("The answer is C.", 2),
        ("My choice: A", 0),
        ("I would choose option B, since ...", 1),
        ("Alien Resurrection, no doubt", 1),
        ("alien", 0),
        ("I pick Se7en (Director's Cut).", 4),
        ("they will like B most", None),  # A in its place would be a word, and no label is favoured
        ("what they will like is B", 1),
        ("what they will like is A.", 0),
        ("A good film is hard to choose", None),
        ("Alien or Heat", None),
        ("B or C", None),
        ("The answer is A or the answer is B", None),
        ("F", None),
        ("The answer is J", None),
        ("", None),
        ("no idea", None),
        ("Aliens", None),
        ("It", 3),
        ('I would take "It".', 3),
        ("it is dark", None),  # a title that is a word of any sentence has to stand by itself
    ],
)
def test_what_counts_as_an_answer(text, pick):
    assert parse_answer(text, FILMS) == pick


@given(st.text(max_size=200), st.integers(1, 5))
def test_any_text_is_a_pick_among_those_shown_or_none(text, shown):
    pick = parse_answer(text, FILMS[:shown])
    assert pick is None or 0 <= pick < shown


@pytest.mark.parametrize("title", ["Heat<|im_end|>", "a  b\nc", "x" * 10_000, "(.*)", "[INST]", ""])
def test_a_title_is_found_as_prompts_show_it(title):
    candidates = [{"title": "Fargo"}, {"title": title}]
    assert parse_answer(title, candidates) in (1, None)
    assert parse_answer("Fargo", candidates) == 0


TITLES = (
    "Alien",
    "Heat",
    "Fargo",
    "A Beautiful Mind",
    "E.T. the Extra-Terrestrial",
    "千と千尋の神隠し",
    "기생충",
    "Amélie",
    "I Am Legend",
    "Tom & Jerry",
)
TEN = [{"title": title} for title in TITLES]
WITH_A_LABEL = (
    "{L}",
    "({L})",
    "{L}.",
    "{L})",
    "**{L}**",
    "{L}:",
    "{L}!",
    "- {L}",
    "> {L}",
    "# {L}",
    '"{L}"',
    "`{L}`",
    "{L}, as it fits",
    "{L} – it fits",
    "{L} - it fits",
    "{L} — it fits",
    "{L}\nbecause it is dark",
    "Answer: {L}",
    "ANSWER: {L}",
    "answer: {L}",
    "Option {L}",
    "option {L}",
    "Letter: {L}",
    "Pick: {L}",
    "Choice {L}",
    "Label {L} is best",
    "Final answer: {L}",
    "**Answer:** {L}",
    "**Answer: {L}**",
    "Answer:\n{L}",
    "Answer: ({L})",
    "The answer is {L}",
    "The answer is {L}.",
    "The answer is **{L}**.",
    "The correct answer is ({L}).",
    "My choice: {L}",
    "My pick is {L}.",
    "I would choose {L}.",
    "I choose option {L}, since it fits",
    "I'd go with {L}",
    "I recommend {L} because of the cast",
    "The best option is {L} as it matches",
    "Selected: Option {L}",
    "what they will like is {L}",
    "Not C, but {L}",
    "\\boxed{{{L}}}",
    "$\\boxed{{\\text{{{L}}}}}$",
    '{{"answer": "{L}"}}',
    '```json\n{{"choice": "{L}"}}\n```',
    "<answer>{L}</answer>",
    "<answer>\n{L}\n</answer>",
    "<think>A or B?</think>{L}",
    "<think>B</think>\n\nThe answer is {L}.",
    "[{L}]",
    "{L}**",
    "1. {L}",
    "1) {L}",
    "* {L}",
    "• {L}",
    "### Answer: {L}",
    "# Answer\n{L}",
    "## Answer\n\n**{L}**",
    "{L}; it fits",
    "{L} because the user likes sci-fi",
    "{L} since it fits",
    "{L} is the best option.",
    "{L} is the answer.",
    "{L} rather than something lighter",
    "{L}, because the user likes sci-fi.",
    "{L}. It fits the user's taste for B movies.",
    "{L}\n\nThe user likes films like B and C.",
    "**{L}**\n\nA lighter film is worse.",
    "Answer is {L}",
    "Answer {L}",
    "Answer:{L}",
    "Answer → {L}",
    "Answer = {L}",
    "Answer - {L}",
    "Answer: [{L}]",
    "Answer: <{L}>",
    'Answer: "{L}"',
    "Final answer: $\\boxed{{{L}}}$",
    "My final answer is {L}.",
    "So the answer is {L}.",
    "Thus {L}.",
    "So, {L}.",
    "Hence, option {L}",
    "=> {L}",
    "→ {L}",
    "It's {L}",
    "Definitely {L}!",
    "Probably {L}",
    "I think the answer is {L} because they like sci-fi.",
    "I'd say {L}.",
    "I'll go with {L}",
    "I'm going with {L}.",
    "Let's go with {L}.",
    "The user will most likely watch {L}",
    "The user would pick candidate {L}.",
    "The most likely choice is **{L}**",
    "Based on the history, {L}.",
    "Sure, here's my answer: {L}",
    "The next item is {L}.",
    "Next: {L}",
    "Prediction: {L}",
    "Output: {L}",
    "Letter {L}",
    "The letter is {L}.",
    "Candidate {L}",
    "Movie {L}",
    "I first thought of option K. But the answer is {L}.",
    "Option C is a drama, option D is a comedy. The answer is {L}.",
    "The answer is not K. The answer is {L}.",
    "\\boxed{{\\textbf{{({L})}}}}",
    "\\fbox{{{L}}}",
    "{{'answer': '{L}'}}",
    '{{"answer": ["{L}"]}}',
    '{{"reason": "fits B", "answer": "{L}"}}',
    "```\n{L}\n```",
    "<answer>{L}",
    "<final_answer>{L}</final_answer>",
    "<b>{L}</b>",
    "<reasoning>B</reasoning><answer>{L}</answer>",
    "<answer>{L}</answer><reasoning>B</reasoning>",
    "B? no.</think>\n{L}",
    "[THINK]B[/THINK]{L}",
    "<|begin_of_thought|>B<|end_of_thought|>{L}",
    "◁think▷B◁/think▷{L}",
    "<|channel|>analysis<|message|>B or C?<|end|><|start|>assistant<|channel|>final<|message|>{L}",
    "analysisWe need to choose. Option B.assistantfinal{L}",
    "{L}<|im_end|>",
    "{L}</s>",
    "assistant\n\n{L}",
    "Antwort: {L}",
    "Die Antwort ist {L}.",
    "La réponse est {L}.",
    "La respuesta es {L}.",
    "Ответ: {L}",
    "答えは{L}です。",
    "{L}です。",
    "私は{L}を選びます。",
    "我会选{L}",
    "我选择{L}。",
    "正确答案是{L}",
    "选项{L}最合适",
    "정답은 {L}입니다",
    "답: {L}",
    "คำตอบคือ {L}",
    "ตัวเลือก {L}",
    "答案是{L}",
    "答案：{L}",
    "答え: {L}",
    "'{L}'",
    "answer: '{L}'",
    "$${L}$$",
    "✅ {L}",
    "👉 **{L}**",
    "The best match is {L}. It fits.",
    "My best guess is {L}",
    "{L} is my pick, although others fit.",
    "K is wrong, {L} is right",
    "Reasoning: the user likes Oz and Kes.\nAnswer: {L}",
    "Ich würde Option {L} wählen.",
    "Ich nehme {L}",
    "Scelgo {L}",
    "Wybieram {L}.",
    "Opción {L}",
    "Вариант {L}",
    "Odpowiedź {L}",
    "Câu trả lời là {L}",
    "सही उत्तर {L} है।",
    "الإجابة هي {L}",
    "התשובה היא {L}",
    "ข้อ {L}",
    "不是K，是{L}",
    "KではなくAnswer: {L}",
    "{W}",
    "正解は（{W}）",
    "__{L}__",
    "_{L}_",
    "| {L} |",
    "{L} ✅",
    "Ans. {L}",
    "{L} it is",
    "I vote for {L}",
    "I picked {L}",
    "Number {L}",
    "Product {L}",
    "{L} looks like the best one",
    "{L}, but others fit too",
    "Given the user's interest in Heat and Alien, I would choose {L}.",
    "Answer: {L}\n\nExplanation: the user watched Heat and Alien.",
    "{L}\n\nExplanation: the first is too old, Heat too long.",
    "I pick {L} to end the week",
    "<reason>B</reason><answer>{L}</answer>",
    "<|thinking|>B<|/thinking|>{L}",
    '{{"final answer": "{L}", "reason": "like Heat"}}',
    '{{"result": {{"best_candidate": "{L}"}}}}',
    "Ich würde {L} wählen.",
    "{L} ist die beste Wahl.",
    "A resposta correta é a {L}.",
    "La mejor opción es la {L}",
    "Kandidat {L}",
    "Doğru cevap {L}'dır.",
    "Odpověď: {L}",
    "答案为 {L}",
    "{L} 是最佳选择",
    "ฉันเลือก {L}",
    "คำตอบคือข้อ {L}",
    "الخيار {L}",
    "אני בוחר ב-{L}",
)
WITH_BOTH = (
    "{L}. {T}",
    "{L}: {T}",
    "**{L}. {T}**",
    "The answer is {L}. {T}",
    "{T} ({L})",
    "{T} (option {L})",
    "({L}) {T}",
    "[{L}] {T}",
    "{L} | {T}",
    "{L}) {T}\n\nIt fits.",
    "\\boxed{{\\text{{{L}. {T}}}}}",
    '{{"choice": "{L}) {T}"}}',
    '{{"answer": "{L}", "title": "{T}"}}',
    "Based on the viewing history, the user would most likely choose **{L}. {T}**.",
    "{L} ({T})",
    "My answer is {L}) {T}",
)
WITH_A_TITLE = (
    "{T}",
    "I would pick {T}",
    "Answer: {T}",
    "I think {T} is the best choice.",
    "“{T}”",
    "{T}!",
    "1. {T}",
    "次は{T}を見るでしょう",
    "我选{T}。",
    "Based on the history, the user will watch {T} next.",
    '{{"answer": "{T}"}}',
    "<answer>{T}</answer>",
    "\\boxed{{{T}}}",
    "<think>Heat or Alien?</think>{T}",
    "다음은 {T}입니다",
    "ผู้ใช้จะดู{T}ต่อไป",
    "《{T}》",
    "「{T}」",
    "I would go with {T}.",
    "Rather than K-PAX, {T}.",
    "{T}, because it fits.",
    "{T} (1999)",
    "The answer is {T}. Other films fit less.",
    "[THINK]Heat[/THINK]{T}",
    '{{"title": "{T}"}}',
    '{{"movie": "{T}"}}',
    "I'd suggest {T}",
    "{T}. I think they will like it.",
    "{T}. A film that fits.",
    "K-PAX is not a good fit. I'd take {T}.",
)


@pytest.mark.parametrize("form", [*WITH_A_LABEL, *WITH_BOTH, *WITH_A_TITLE])
def test_no_label_and_no_title_is_favoured(form):
    """What gives B for B gives A for A, also where titles begin with letters that are labels."""
    words = [
        form.format(L=label, W=chr(ord(label) + 0xFEE0), T=title)
        for label, title in zip("ABCDEFGHIJ", TITLES, strict=True)
    ]
    wrong = [place for place, text in enumerate(words) if parse_answer(text, TEN) != place and text != "Not C, but C"]
    assert wrong == []


@given(st.sampled_from([*WITH_A_LABEL, *WITH_BOTH]), st.permutations(range(10)), st.integers(0, 9))
def test_the_order_of_the_candidates_decides_nothing(form, order, place):
    shown = [TEN[candidate] for candidate in order]
    label = "ABCDEFGHIJ"[place]
    text = form.format(L=label, W=chr(ord(label) + 0xFEE0), T=shown[place]["title"])
    assert parse_answer(text, shown) == place or text.startswith("Not C, but C")


@pytest.mark.parametrize(
    "text",
    [
        "A. Heat",
        "The answer is A, Heat",
        "A or B",
        "A and B",
        "A, B, C",
        "The answer is A or B",
        "Option A or option B",
        "A good film is hard to choose",
        "A man walks in",
        "I think it is hard",
        "I am not sure",
        "As an AI, I cannot say",
        "Heat or Fargo",
        "<think>C is good",
        "<think>B",
        "K",
        "Option K",
        "hard to say",
        "",
        "<answer></answer>",
        "A. Alien\nB. Heat",
        "1. A\n2. B\n3. C",
        "1. Alien\n2. Heat",
        "A – it fits\nB – so does this",
        "A > B > C",
        "Neither A nor B",
        "The answer isn't A.",
        "I would not pick A.",
        "Heat (A)",
        "The user liked Heat, so A.",
        "The answer is A. I recommend Heat.",
        '{"answer": "A", "title": "Heat"}',
        "[THINK]B is good",
        "<|channel|>analysis<|message|>Option B fits, but",
        "Vitamin A",
        "Plan B",
        "I, the assistant, cannot decide",
        "As an AI language model, I",
        "option a",
        "The answer is A Few Good Men",
        '{"A": 0.1, "B": 0.8, "C": 0.1}',
        "Heat – option A",
        "Maybe A, maybe B.",
        "The film J. Edgar",
        "AではなくてBでもない",
        "Elizabeth and World War I.",
        "see Chapter A.",
        "Anything but A.",
        "Heat is not a good fit.",
        "The user has already seen Heat.",
        "in the heat of the night",
        "from A to J.",
        "C or maybe B",
        "C (or B)",
        "1st: C, 2nd: B",
        "A: Alien, B: Heat",
        '{"A": "Alien", "B": "Heat"}',
        '{"label": "A", "movie": "Heat"}',
        "Answer: A\nTitle: Heat",
        "A\nHeat",
    ],
)
def test_several_or_none_or_a_thought_is_no_answer(text):
    assert parse_answer(text, TEN) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("E.T. the Extra-Terrestrial", 4),
        ("I would pick A Beautiful Mind", 3),
        ("Tom &amp; Jerry", 9),
        ("Ame\u0301lie", 7),
        ("Heat, not Fargo", 1),
        ("Heat rather than Fargo or Alien", 1),
        ("I would choose Heat over Fargo, because of the cast", 1),
        ("not A but B", 1),
        ("B, not A", 1),
        ("First I thought the answer is A. Final answer: B", 1),
        ("The answer is B. Heat fits better than Fargo.", 1),
        ("A. Alien\nB. Heat\nC. Fargo\n\nThe answer is B.", 1),
        ("A. Alien\nB. Heat\nC. Fargo\n\nThe answer is A. Alien", 0),
        ("A user who likes crime. They saw Heat.\nAnswer: C", 2),  # a line before the answer names another
        ("Heat would be good, but Fargo is the answer.", 2),
        ("Heat is fine, but I prefer Fargo.", 2),
        ("不是A，是B", 1),
        ("AではなくBです", 1),
        ("Amelie", 7),
        ("Tom and Jerry", 9),
        ("E.T. the Extra–Terrestrial", 4),
        ("E.T. the Extra Terrestrial", 4),
        ("A. Alien - no\nB. Heat - no\n\nBest: C", 2),
        ("The options are A. Alien, B. Heat and C. Fargo. I pick C.", 2),
        ("I would choose heat", 1),
        ("\\boxed{c}", 2),
        ('{"answer": "c"}', 2),
        ("<think>it may be A", None),
        ("<think>it may be A</think> D", 3),
    ],
)
def test_titles_are_read_as_people_write_them(text, place):
    assert parse_answer(text, TEN) == place


@pytest.mark.parametrize(("title", "written"), [("Don't Look Now", "Don’t Look Now"), ("Spider-Man", "Spider‑Man")])
def test_quotes_and_hyphens_are_one_spelling(title, written):
    assert parse_answer(f"I pick {written}.", [{"title": "Fargo"}, {"title": title}]) == 1
    assert parse_answer(f"I pick {title}.", [{"title": "Fargo"}, {"title": written}]) == 1


@pytest.mark.parametrize("piece", ["*", "A, ", "A. ", "not ", "answer is ", "Heat ", "<think>", "\\boxed{", "1. A\n"])
def test_a_model_that_repeats_itself_is_read_too(piece):
    parse_answer(piece * 2000, TEN)  # each would run for minutes if a search began anew at every letter


def test_a_shared_title_picks_nobody_unless_its_year_stands_with_it():
    films = [{"title": "Heat", "year": 1995}, {"title": "Fargo", "year": 1996}, {"title": "Heat", "year": 1986}]
    said = ("Heat", "I take Heat (1986). Heat is great.", "Heat (1995): Crime", "Fargo", "A. Heat (1995)")
    assert [parse_answer(text, films) for text in said] == [None, 2, 0, 1, 0]
    undated = [{"title": "Heat"}, {"title": "Heat"}]
    assert parse_answer("Heat", undated) is None  # and not the first of them, whichever that is
    assert parse_answer("B", undated) == 1


@pytest.mark.parametrize(
    "label", ["A. Heat", "Heat (A)", "(A) Heat", "A: Heat", "Heat 1995", "Heat from 1995", "Heat, 1995"]
)
def test_a_label_or_a_year_tells_namesakes_apart(label):
    films = [{"title": "Heat", "year": 1995}, {"title": "Fargo", "year": 1996}, {"title": "Heat", "year": 1986}]
    assert parse_answer(label, films) == 0
    assert parse_answer(label.replace("A", "C").replace("1995", "1986"), films) == 2
    assert parse_answer("B. Heat", films) is None


def test_a_long_title_with_another_dash_is_not_the_short_one_in_it():
    films = [{"title": "Star Wars"}, {"title": "Star Wars: Episode IV - A New Hope"}, {"title": "WALL·E"}]
    said = ("Star Wars: Episode IV – A New Hope", "Star Wars", "I pick Star Wars: Episode IV — A New Hope.", "WALL-E")
    assert [parse_answer(text, films) for text in said] == [1, 0, 1, 2]


def test_titles_that_differ_by_an_accent_alone_stay_two():
    films = [{"title": "Amelie"}, {"title": "Amélie"}]
    assert [parse_answer(text, films) for text in ("Amelie", "Amélie")] == [0, 1]


def test_a_number_is_a_title_in_a_list():
    assert parse_answer("1. 1917", [{"title": "1917"}, {"title": "300"}]) == 0


def test_a_sentence_swallows_the_mark_at_the_end_of_a_title():
    films = [{"title": title} for title in ("Mamma Mia!", "What's Up, Doc?", "Help!", "君の名は。", "Levi's® 501™")]
    said = ("I take Mamma Mia, of course", "What's Up, Doc", "Help", "君の名は", "Levi's 501", "Mamma Mia!")
    assert [parse_answer(text, films) for text in said] == [0, 1, None, 3, 4, 0]
