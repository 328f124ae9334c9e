"""Text as LaTeX shows it, whatever it holds, with no more than its usual fonts."""

from __future__ import annotations

import unicodedata

from psasc_bench.report.formats import DASH, MINUS

LONGEST_WORD = 12  # characters of which a line may have to hold one whole
GREEK = ("alpha", "beta", "gamma", "delta", "eta", "theta", "kappa", "mu", "pi", "rho", "sigma", "tau", "phi", "omega")
SYMBOLS = {unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}"): f"$\\{name}$" for name in GREEK}
SYMBOLS |= {"ε": r"$\varepsilon$", "λ": r"$\lambda$", "Δ": r"$\Delta$", "∞": r"$\infty$", "±": r"$\pm$"}
SYMBOLS |= {"≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "\N{MULTIPLICATION SIGN}": r"$\times$", "ß": r"\ss{}"}
SYMBOLS |= {"\N{EM DASH}": "---", "\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''"}
SYMBOLS |= {MINUS: "$-$", DASH: "--"}
SYMBOLS |= {"\N{RIGHT SINGLE QUOTATION MARK}": "'"} | {character: f"\\{character}" for character in "&%$#_{}"}
SYMBOLS |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
SYMBOLS |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\`{}"}
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": "."}
ACCENTS |= {"\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"}


def shown(text: object) -> str:
    """``text`` with the numbers of characters that LaTeX's usual fonts lack in their place."""
    return "".join(character if _character(character) else f"U+{ord(character):04X}" for character in str(text))


def escape_latex(text: object) -> str:
    """``text`` so that LaTeX shows it as it is, long words divided where need be."""
    parts, word, last = [], 0, ""
    for character in shown(text):
        word = 0 if character.isspace() else word % LONGEST_WORD + 1
        parts += [r"\-"] if word == 1 and last.strip() else []
        parts += ["{}"] if character == last == "-" else []  # or else the two were a longer one
        parts.append(_character(character))
        last = character
    # behind the end of a row these would be its arguments
    if parts and parts[0] in ("[", "*"):
        parts[0] = f"{{{parts[0]}}}"
    return "".join(parts)


def _character(character: str) -> str:
    """Empty for one that the fonts lack."""
    if character in SYMBOLS or character.isascii():
        return SYMBOLS.get(character, character)
    base, *marks = list(unicodedata.normalize("NFKD", character))
    if base == character or not all(mark in ACCENTS for mark in marks):
        return ""
    text = _character(base)
    for mark in marks:
        text = f"\\{ACCENTS[mark]}{{{text}}}" if text else ""
    return text
