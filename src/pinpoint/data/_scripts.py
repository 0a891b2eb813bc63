"""Characters that need care where words are told apart, each kind for a regular expression's character class."""

import unicodedata

UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that do not part words, or add endings to them: Thai, Lao, Japanese, Chinese, Korean."""
VOWELS = "".join(chr(one) for one in range(0x900, 0x1D00) if unicodedata.category(chr(one)) in ("Mn", "Mc"))
"""Signs of Indic and related scripts that are no letters, and yet tell one word from another."""
