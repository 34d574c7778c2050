"""What a reasoner meant by its free text: the only parser of answers.

Reward, evaluation and demo all ask here, so an answer counts the same everywhere. No label is favoured: what gives B
for B gives A for A, and a letter is a label only where a label can stand.
"""

import html
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from logs2lang.dataset_builders.prompting.prompts import sanitize, sanitize_lines, told_apart
from logs2lang.dataset_builders.schema import CANDIDATE_LABELS, TITLE

from .title_mentions import PLAIN_MARKS, is_plain

_THOUGHT = r"(?:\w+:)?(?:think|thinking|thoughts?|reason|reasoning(?:_content)?|reflection|scratchpad|analysis|cot)"
_BEGINS = (
    rf"<{_THOUGHT}>|<\|{_THOUGHT}\|>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|start_thinking)\|>"
    r"|<\|channel\|>\s*(?:analysis|commentary)\b|\Aanalysis(?=(?-i:[A-Z]))"
)
_ENDS = (
    rf"</{_THOUGHT}>|<\|/{_THOUGHT}\|>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|end_thinking)\|>"
    r"|<\|channel\|>\s*final\b|assistantfinal"
)
_WHOLE_THOUGHT = re.compile(rf"(?:{_BEGINS}).*?(?:{_ENDS})", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHT = re.compile(rf"^.*(?:{_ENDS})", re.DOTALL | re.IGNORECASE)
_BEGIN_OF_THOUGHT = re.compile(_BEGINS, re.IGNORECASE)

_BOXED = re.compile(r"\\f?box(?:ed)?\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?([^{}]*)\}")
_TAGGED = re.compile(
    r"<\s*((?:final_?)?(?:answer|choice|pick)|final)\s*>(.*?)<\s*/\s*\1\s*>", re.DOTALL | re.IGNORECASE
)
_WORKS = r"(?:film|movie|series|show|video|book|song|track|album|game|product|article)"
_NAMES = (
    r"(?:answer|choice|pick|option|label|letter|number|item|candidate|selection|recommendation|prediction"
    rf"|{_WORKS})"
)
_KEY = (
    r"(?:(?:my|final|best|top|next|correct|chosen|selected|predicted|recommended)[_ -]?)*"
    rf"(?:{_NAMES}|title)(?:[_ -]?(?:label|letter|title|name))?"
)
_FIELD = re.compile(rf"""(["']){_KEY}\1\s*:\s*(["'])(.*?)(?<!\\)\2""", re.IGNORECASE)

_FIRST_TITLE = 0xE000  # a title is read as one private character, so that it stands where a label could
_TITLE = "\ue000-\uf8ff"
_MARKS = r"*_`~$\"'“”‘’«»「」『』《》【】()\[\]{}<>‹›"
"""What may stand around a label: emphasis, quotes, brackets."""
_FEW = "{0,9}"  # of marks; without a bound a row of thousands would take minutes
_SPACED_LETTER = r"[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A letter of a script that sets words apart by spaces; the others may touch a label or a title: 我选Heat。"""
_SIGNS = "\u2190-\u2bff\U0001f000-\U0001faff\ufe0f"  # arrows, ticks, emoji
_AFTER = rf"(?!{_SPACED_LETTER}|'(?![dt][ıiuü]r\b)\w|-|[级級型형급股])(?!\.\w)(?!['\"]\s*:\s*[-\d\[{{])"
"""No "E.T.", no "A-list", no B级片, and no name of a field, as in {"A": 0.1}; but Turkish "B'dir"."""
_LABEL = rf"(?<!{_SPACED_LETTER})(?<![.])(?<![A-Za-z\d]-)(?<!\w')(?-i:[A-J]){_AFTER}"
_PICK = rf"({_LABEL}|[{_TITLE}])"
_REASON = (
    r"(?:because|since|as|for|is(?!\s+(?:not|wrong|worse|less|too|unlikely))|seems|looks|fits|matches|over"
    r"|rather\s+than|instead\s+of)\b"
)

# A line that is nothing but a pick, or the label and the title of one: "B", "2. **B**", "(B) Heat", "Heat (B)".
_LINE = re.compile(
    rf"^[\s#›*•–—|{_SIGNS}-]{_FEW}(?:\d{{1,2}}[.)]\s+)?[{_MARKS}]{_FEW}{_PICK}(?:\s*\(\d{{4}}\))?"
    rf"(?:[ \t{_MARKS}.:,|–—-]{_FEW}{_PICK})?"
    rf"(?:\s*\(\d{{4}}\))?[\s{_MARKS}.:,;!。|{_SIGNS}]{_FEW}$",
    re.MULTILINE,
)
# A line that opens with a pick which a mark or a reason sets off: "B – it fits", "B. It fits", "B is the best".
_OPENING = re.compile(
    rf"^[ \t{_MARKS}#>]{_FEW}{_PICK}[{_MARKS}]{_FEW}"
    rf"(?:\s*[.):;\]。、](?!\w)|\s*,\s*(?:{_REASON}|(?:which|it|not|given|based|but|though|although|while)\b)"
    rf"|\s+[-–—=]+>?\s|\s+{_REASON}|\s*[{_TITLE}])",
    re.MULTILINE | re.IGNORECASE,
)
# "The answer is B", "Answer: B", "I would choose B", 答案是B: a pick after words that announce one.
_KINDS = r"(?:match|fit|guess|bet|title|one|watch)"
_ANSWER_WORDS = (  # in other languages, for "answer"
    r"antwort|réponse|respuesta|resposta|risposta|antwoord|svaret|vastaus|odpowiedź|ответ|відповідь|cevap|jawabannya|"
    r"jawaban|jawapan|svar|odpověď|válasz|răspunsul|răspuns|отговор|wahl|choix|elección|opción|escolha|opção|scelta|"
    r"opzione|wybór|выбор|đáp\s+án|câu\s+trả\s+lời|απάντηση|उत्तर|जवाब|الإجابة|الجواب|תשובה|התשובה"
)
_CHOOSE_WORDS = (  # in other languages, for "I choose"
    r"wähle|nehme|empfehle|choisis|prends|recommande|elijo|escojo|escolho|scelgo|kies|väljer|velger|vælger|valitsen|"
    r"wybieram|vybírám|választom|aleg|выбираю|выбрал[аи]?|обираю|chọn|memilih|seçiyorum|seçerdim|ตอบ"
)
_ANNOUNCED = (
    r"(?:\b(?:answer|choice|pick|selection|recommendation|prediction|guess|"
    rf"(?:best|likely|next|right|correct)\s+(?:{_NAMES}|{_KINDS}))\b"
    r"(?:\s+(?:is|would\s+be|will\s+be|should\s+be))?"
    r"|\b(?:cho[os]se|chosen|choosing|pick(?:ed|ing)?|select(?:ed|ing)?|go(?:ing)?\s+(?:with|for)"
    r"|vote\s+(?:for|goes\s+to)|recommend|suggest|prefer)\b|\bans\b\.?"
    rf"|\b(?:best|verdict|result|conclusion|decision|solution|response|output|final|next|so)(?=[{_MARKS}]{_FEW}\s*:)"
    rf"|\b(?:{_ANSWER_WORDS})(?:\s+\w{{4,12}})?\b|\b(?:{_CHOOSE_WORDS})\b"
    r"|答案|回答|正解|选择|選択|选|選|答え|정답|답|เลือก|ข้อ|أختار|اختار|ค\u0e4d\u0e32ตอบ)"
)
_IS = (
    r"(?:是|为|為|は|은|는|คือ|(?:ist|est|es|é(?:\s+[ao])?|è|är|on|to|is|là|adalah|—|هي|هو|היא|הוא|είναι)(?=\s)"
    r"(?:\s+(?:la|el|die)(?=\s))?)"
)
_BETWEEN = rf"(?:\s+{_NAMES})?\s*{_IS}?[\s{_MARKS}]{_FEW}[:：=]?[\s{_MARKS}]{_FEW}"
_GOES_ON = r"(?:by|to|next|most|or|and|but|in|with|from|given|wählen|nehmen|ist|est|es)\b"
_LABEL_MAY_END = rf"(?=\s+{_REASON}|\s+{_GOES_ON}|\s*(?:[–—:.,;!?\n{_MARKS}-]|$|[^\x00-\x7f]))"
_STATED = re.compile(rf"{_ANNOUNCED}{_BETWEEN}{_PICK}{_LABEL_MAY_END}", re.IGNORECASE)
_FINAL = re.compile(rf"\bfinal\s+(?:answer|choice|pick)\b(?:\s+is)?{_BETWEEN}{_PICK}{_LABEL_MAY_END}", re.IGNORECASE)
# "B is the best choice": a pick before words that announce it.
_CALLED = re.compile(
    rf"{_PICK}[{_MARKS}]{_FEW}(?:\s+(?:is|would\s+be)\s+"
    rf"(?:(?:the|my)\s+(?:\w+\s+){{0,2}}(?:{_NAMES}|{_KINDS})|right|correct)\b|\s+it\s+is\b"
    rf"|\s+(?:ist|est|es|é|è)\s+(?:\w+\s+){{0,3}}(?:{_ANSWER_WORDS})\b|\s+(?:wählen|nehmen|empfehlen|passt)\b"
    r"|\s*是最|\s*が(?:正解|最適|最も|答え))",
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"(?:\b(?:option|candidate|label|letter|number|item|{_WORKS}(?!\s+[A-J]\.\s+(?-i:[A-Z]))"
    rf"|kandidat|candidat[oe]?|opção|opción|opzione|opcja|optie|вариант|кандидат|lựa\s+chọn|pilihan|الخيار|گزینه)\b"
    rf"|选项|選択肢|선택|ตัวเลือก|विकल्प|\bno\.)\s*"
    rf"[{_MARKS}]{_FEW}({_LABEL}){_LABEL_MAY_END}",
    re.IGNORECASE,
)
_ENTRY = re.compile(
    rf"^[\s#*•{_MARKS}-]{_FEW}{_KEY}[{_MARKS}]{_FEW}\s*[:：][\s{_MARKS}]{_FEW}([{_TITLE}])",
    re.MULTILINE | re.IGNORECASE,
)
_A_TITLE = re.compile(f"([{_TITLE}])")
_SENTENCE = re.compile(r"(?:[^.!?。！？\n]|[.!?](?!\s))*")
_ALONE = re.compile(rf"[{_MARKS}]{_FEW}({_LABEL})[{_MARKS}]{_FEW}", re.IGNORECASE)
_AND = re.compile(
    rf"[\s{_MARKS}]{_FEW}(?:[,/&、›≻;]|\b(?:or|and|nor)\b)\s*"
    rf"(?:(?:or|and|maybe|perhaps|possibly|otherwise|else)\s+){{0,2}}(?:{_NAMES}\s+)?[{_MARKS}]{_FEW}{_PICK}",
    re.IGNORECASE,
)
_JOINS = rf"[ \t{_MARKS}.:|–—-]{_FEW}"
_PAIR = re.compile(
    rf"{_PICK}(?={_JOINS}(?:(?:option|candidate|label|letter)\s+)?({_LABEL}(?!\s+\w)|[{_TITLE}]))", re.IGNORECASE
)  # no label: the word after "Heat. I think", "Heat. A classic"

_NOT = re.compile(
    rf"(?:\b(?:not|never|neither|nor|cannot)\b|n't\b)(?:(?!\bbut\b)[^.,;:!?\n]){{0,25}}$"
    rf"|\b(?:rather\s+than|instead\s+of)\s+(?:{_NAMES}|or|and|[\s{_MARKS}{_TITLE}])*$"
    rf"|\b(?:over|(?<!rather\ )than)\s+(?:{_NAMES}|or|and|[\s,{_MARKS}{_TITLE}])*$"
    r"|\b(?:rule\s+out|avoid|skip|except|anything\s+but|similar\s+to|such\s+as|already\s+(?:seen|watched))\s+"
    rf"(?:{_NAMES}|or|and|[\s{_MARKS}{_TITLE}])*$"
    rf"|(?:不是|不选|不選|不会是|并非|並非)[{_MARKS}]{_FEW}$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    rf"[{_MARKS}]{_FEW}\s*(?:ではな|じゃな|でもな|不合适|不合適|不对|不對|가 아니|이 아니"
    r"|\b(?:is|was|would\s+be|seems|does|has)(?:n't|\s+(?:not|never|wrong|unlikely|too)\b))",
    re.IGNORECASE,
)
_LISTED_OR_HEDGED = re.compile(r"\w:\s*$|\b(?:maybe|perhaps|possibly)\s*$", re.IGNORECASE)
_SAYS = re.compile(
    r"(?:^|[:：=→›—–-]|\b(?:is|it's|be|but|say|think|so|thus|hence|therefore|definitely|probably|likely|certainly|with"
    r"|watch|take|want|prefer|like|play|see),?"
    r"|\b(?:ist|est|es|é|è|هو))\s*$",
    re.IGNORECASE,
)
_NO_LABEL = re.compile(
    r"\b(?:an?|plan|grade|vitamin|class|part|type|level|side|team|section|series|chapter|mrs?\."
    r"|in|from|[a-j]\s+to)\s*$",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b[A-Z][a-z]+\s*$")  # World War I, Chapter A
_NEAR_CHARS = 100
_ENDING = re.compile(r"[\s.!?。！？]*$")


def parse_answer(text: str, candidates: Sequence[Mapping[str, Any]]) -> int | None:
    """The candidate that an answer picks.

    What stands inside a thought is never read, and a thought that is not finished leaves no answer. Then the first of
    these that says anything decides:

    1. the last box, else the last tag, else the fields of JSON, each read as an answer of its own;
    2. what is called the final answer;
    3. what is announced: "the answer is B", "I would choose Heat", in some other languages too;
    4. lines that are nothing but a label or a title, or both of one candidate;
    5. lines that open with a label or a title which a mark or a reason sets off: "B – it fits";
    6. the titles that stand anywhere, the longest first, in any script; labels after a word for one ("option B"); and
       labels that marks set off, that touch a script without spaces, or that end a text.

    Any other letter is a word: so is A in "a good film", and no label may be easier to give than another. What is
    denied ("not B", "rather than B") is no pick. Where the one that decides finds several candidates, the answer is
    invalid; so it is where a label and a title contradict each other: a title that stands beside a label, or in its
    sentence, or as a pick of its own, is not the label's.

    Args:
        text (`str`): What the model wrote.
        candidates (`list[Item]`): As they were shown, the first as A.

    Returns:
        `int` or `None`: Place of the pick in `candidates`; `None` for no valid answer.

    Example:
        >>> films = [{"title": "Fargo"}, {"title": "Heat"}]
        >>> [parse_answer(text, films) for text in ("B", "The answer is A.", "I would take Heat", "C", "hard to say")]
        [1, 0, 1, None, None]
        >>> [parse_answer(text, films) for text in ("<think>A or B? A", "<think>A?</think> B", "B. Fargo")]
        [None, 1, None]
    """
    said = _readable(text)
    if said is None:
        return None
    if marked := _marked_answers(said):
        meant = {parse_answer(_as_label(inner), candidates) for inner in marked}
        return meant.pop() if len(meant) == 1 else None
    left = _with_titles_as_one(said, candidates)
    if stated := _stated(left):  # what the lines before it weigh up is no part of the answer
        left = left[left.rfind("\n", 0, stated[0].start(1)) + 1 :]
    named = {_place(one[0]) for one in _A_TITLE.finditer(left) if not _is_denied(one, left)}
    options = {_place(one[1]) for one in _OPTION.finditer(left) if not _is_denied(one, left)}
    decided = _decided(left)
    picks = {place for one in decided for place in _listed(one, left)} or named | options | _alone(left)
    if len(picks) != 1 or max(picks) >= len(candidates):
        return None
    (pick,) = picks
    rivals = _titles_beside(decided, left) if decided else named
    return None if (rivals and pick not in rivals) or _is_contradicted(pick, left) else pick


def thinks(text: str) -> bool:
    """Whether a text holds a thought, finished or not. Some servers write only the mark of its end.

    Example:
        >>> [thinks(text) for text in ("<think>A", "C?</think>B", "I think B")]
        [True, True, False]
    """
    return _END_OF_THOUGHT.match(text) is not None or _BEGIN_OF_THOUGHT.search(text) is not None


def is_unfinished_thought(text: str) -> bool:
    """Whether a model thought aloud and never came to an answer.

    Example:
        >>> [is_unfinished_thought(text) for text in ("<think>A, or B", "<think>A</think>B", "B")]
        [True, False, False]
    """
    return _BEGIN_OF_THOUGHT.search(_without_thoughts(text)) is not None


def _without_thoughts(text: str) -> str:
    return _END_OF_THOUGHT.sub("", _WHOLE_THOUGHT.sub(" ", text))


def _readable(text: str) -> str | None:
    """The answer without thoughts, in plain letters: full-width ones, entities and composed forms are one spelling."""
    if is_unfinished_thought(text):
        return None
    return _spelled(_without_thoughts(text)).strip()


def _spelled(text: str) -> str:
    spelled = unicodedata.normalize("NFKC", re.sub("[®™©]", "", html.unescape(text))).translate(PLAIN_MARKS)
    return re.sub(rf"[{_TITLE}]", "", spelled)


def _marked_answers(said: str) -> list[str]:
    """What a model put where answers are expected: the last box, the last tag, all fields of JSON."""
    if boxed := _BOXED.findall(said):
        return boxed[-1:]
    if tagged := _TAGGED.findall(said):
        return [tagged[-1][1]]
    return [_unescaped(inner) for _, _, inner in _FIELD.findall(said)]


def _as_label(inner: str) -> str:
    """What is marked as the answer; a small letter alone cannot be a word there."""
    return inner.upper() if re.fullmatch(r"\W*[a-j]\W*", inner) else inner


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except json.JSONDecodeError:
        return text


def _place(pick: str) -> int:
    """Of the candidate that a label or a title, read as one character, stands for."""
    return CANDIDATE_LABELS.index(pick) if pick in CANDIDATE_LABELS else ord(pick) - _FIRST_TITLE


def _stated(left: str) -> list[re.Match[str]]:
    """What is announced as the answer."""
    for form in (_FINAL, _STATED, _CALLED):
        if found := [one for one in form.finditer(left) if not _is_denied(one, left)]:
            return found
    return []


def _decided(left: str) -> list[re.Match[str]]:
    """The picks of the first form of an answer that the text has."""
    openings = [] if _is_a_list(left) else list(_OPENING.finditer(left))
    return _stated(left) or list(_LINE.finditer(left)) or openings


def _is_a_list(left: str) -> bool:
    """Whether a line repeats the candidates: "A: Alien, B: Heat"."""
    return any(
        len({_place(one[1]) for one in _PAIR.finditer(line) if one[1] in CANDIDATE_LABELS}) > 1
        for line in left.splitlines()
    )


def _titles_beside(decided: list[re.Match[str]], left: str) -> set[int]:
    """The titles that speak for or against a pick: what its sentence goes on to name, and those of other picks.

    Titles elsewhere are what the text compares the pick with, or what the user saw before.
    """
    rests = [(one.end(1), _SENTENCE.match(left, one.end(1)).end()) for one in decided]  # type: ignore[union-attr]
    beside = [title for start, end in rests for title in _A_TITLE.finditer(left, start, end)]
    others = [one for form in (_CALLED, _LINE, _OPENING, _ENTRY) for one in form.finditer(left)]
    picks = [one[1] for one in decided + beside + others if not _is_denied(one, left)]
    return {_place(pick) for pick in picks if pick not in CANDIDATE_LABELS}


def _listed(found: re.Match[str], left: str) -> Iterable[int]:
    """A pick and those that are named in one breath with it: all of "A or B"."""
    yield from (_place(pick) for pick in found.groups() if pick)
    end = found.end(1)
    for _ in CANDIDATE_LABELS:
        if (more := _AND.match(left, end)) is None:
            return
        if not _is_denied(more, left):
            yield _place(more[1])
        end = more.end(1)


def _alone(left: str) -> set[int]:
    """The labels that stand alone in a sentence and are meant as labels."""
    found = [one for one in _ALONE.finditer(left) if _stands_alone(one, left) and not _is_denied(one, left)]
    return {place for one in found for place in _listed(one, left)}


def _stands_alone(found: re.Match[str], left: str) -> bool:
    before, after = _before(found, left), left[found.end(1) :]
    if found[0] != found[1]:
        return True
    if _NO_LABEL.search(before):
        return False
    if _LISTED_OR_HEDGED.search(before) and re.match(r"\s*(?:[,.;?!]|$)", after):
        return True
    touches = re.search(rf"(?!{_SPACED_LETTER})\w$", before) or re.match(rf"(?!{_SPACED_LETTER})\w", after)
    ends = _ENDING.match(after) and (_SAYS.search(before) or (re.match(r"[.!。]", after) and not _NAME.search(before)))
    return bool(touches or ends or _AND.match(left, found.end(1)))


def _is_denied(found: re.Match[str], left: str) -> bool:
    return _NOT.search(_before(found, left)) is not None or _DENIED_AFTER.match(left, found.end(1)) is not None


def _before(found: re.Match[str], left: str) -> str:
    """The words before a pick, as many as can bear on it."""
    start = found.start(1)
    return left[max(start - _NEAR_CHARS, 0) : start]


def _is_contradicted(pick: int, left: str) -> bool:
    """Whether a label and a title that stand together, one of them of the pick, are of two candidates."""
    pairs = [
        (one[1], one[2])
        for one in _PAIR.finditer(left)
        if (one[1] in CANDIDATE_LABELS) != (one[2] in CANDIDATE_LABELS)
    ]
    return any(pick in (both := {_place(one), _place(other)}) and len(both) == 2 for one, other in pairs)


def _with_titles_as_one(said: str, candidates: Sequence[Mapping[str, Any]]) -> str:
    """The text with each title of a candidate as one character; the longest titles first.

    A title that several candidates share stands for all of them, unless its year stands with it somewhere.
    """
    left = sanitize_lines(said)
    shared: dict[str, set[int]] = {}
    for titles in ([candidate[TITLE] for candidate in candidates], told_apart(candidates)):
        for place, title in enumerate(titles):
            shared.setdefault(_spelled(sanitize(html.unescape(title))), set()).add(place)
    alike = Counter(map(_loose, shared))
    groups = set()
    for title in sorted(shared, key=len, reverse=True):
        if title and title not in CANDIDATE_LABELS:
            whole = _pattern(title, alike[_loose(title)] == 1)
            places = [chr(_FIRST_TITLE + place) for place in sorted(shared[title])]
            group = "/".join([place for place in places if place in left] or places)
            groups |= {group} if "/" in group else set()
            left = whole.sub(group, left)
    for group in groups:
        left = _with_labels_of(group, left)
    return left


def _with_labels_of(group: str, left: str) -> str:
    """The text where a title that several candidates share stands for the one whose label stands with it."""
    for pattern in (rf"({_LABEL})({_JOINS})({group})", rf"({group})({_JOINS})({_LABEL})"):
        left = re.sub(pattern, _with_its_title, left)
    return left


def _with_its_title(found: re.Match[str]) -> str:
    first, _, last = found.groups()
    label, group = (first, last) if first in CANDIDATE_LABELS else (last, first)
    title = chr(_FIRST_TITLE + _place(label))
    return found[0] if title not in group else found[0].replace(group, title)


@lru_cache(maxsize=4096)
def _pattern(title: str, is_unlike: bool) -> re.Pattern[str]:
    if is_plain(title):
        return _field(title)
    if re.fullmatch("[A-Z][a-z]+", title):  # in the heat of the night
        word = f"(?:{_loosely(title) if is_unlike else title}|{title.upper()})"
        anywhere = rf"(?<!{_SPACED_LETTER}){word}(?!{_SPACED_LETTER})"
        return re.compile(rf"{anywhere}|{_field(title.lower()).pattern}", re.MULTILINE)
    return _bounded(title, is_unlike)


def _field(title: str) -> re.Pattern[str]:
    """A title that is a word of any sentence, such as It, or a number: named only where it stands by itself."""
    announced = "|".join(
        rf"(?<=\b{verb} )" for verb in ("is", "pick", "choose", "select", "with", "recommend", "watch")
    )
    listed = r"(?<=^\d[.)] )|(?<=^[*•-] )"
    return re.compile(
        rf"(?:(?<=[{_MARKS}:])|^|{listed}|{announced})[ \t]*{re.escape(title)}[ \t]*(?=[{_MARKS}.!]|$)", re.MULTILINE
    )


def _bounded(title: str, is_unlike: bool) -> re.Pattern[str]:
    """A pattern of a title as a whole; where no other is like it, also without its accents, with other dashes."""
    named = _without_end(title) if is_unlike else title
    before = rf"(?<!{_SPACED_LETTER})" if re.match(_SPACED_LETTER, named[0]) else ""
    after = rf"(?!{_SPACED_LETTER})" if re.match(_SPACED_LETTER, named[-1]) else ""
    end = f"(?:{re.escape(title[len(named) :])})?"
    return re.compile(before + (_loosely(named) if is_unlike else re.escape(named)) + after + end, re.IGNORECASE)


def _without_end(title: str) -> str:
    """A title of several words without the mark at its end, which a sentence may swallow: Mamma Mia!"""
    named = title.rstrip(".!?。")
    several = len(re.findall(rf"{_SPACED_LETTER}+|(?!{_SPACED_LETTER})\w", named)) > 1
    return named if several else title


_DASHES = "-–—‒−·・•"
_ACCENTED: dict[str, str] = {}
for _code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
    if (_base := unicodedata.normalize("NFD", chr(_code))[0]).isascii():
        _ACCENTED[_base] = _ACCENTED.get(_base, "") + chr(_code)


def _loose(title: str) -> str:
    """A title without what people leave out or write in several ways: case, accents, kinds of dashes, & for and."""
    plain = "".join(base if (base := unicodedata.normalize("NFD", sign)[0]).isascii() else sign for sign in title)
    dashed = re.sub(rf"\s*[{_DASHES}]\s*", " ", plain.lower())
    return re.sub(r"\s+", " ", _without_end(dashed.replace("&", "and")))


def _loosely(title: str) -> str:
    """A pattern of what is [`_loose`] in the same way; its year with or without brackets."""
    body, year = title, ""
    if dated := re.fullmatch(r"(.+) \((\d{4})\)", title, re.DOTALL):
        body, year = dated[1], rf"(?:,|\ from)?\ ?[(\[]?{dated[2]}[)\]]?"
    return (
        "".join(map(_loose_part, re.findall(rf"\s*[{_DASHES}]\s*|(?<=\ )(?:&|and)(?=\ )|.", body, re.DOTALL))) + year
    )


def _loose_part(part: str) -> str:
    if part in ("&", "and"):
        return "(?:&|and)"
    if (stripped := part.strip()) and stripped in _DASHES:
        return rf"\s*[{_DASHES}]\s*" if stripped != part else f"[ {_DASHES}]"
    base = unicodedata.normalize("NFD", part)[0]
    return f"[{base}{_ACCENTED[base]}]" if base in _ACCENTED else re.escape(part)
