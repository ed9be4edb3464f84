"""Words that carry grammar and not content, which EDA does not replace. English; other languages have none here."""

from __future__ import annotations

_PRONOUNS = """
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves one who whom whose which what that this these those
"""
_VERBS = """
am is are was were be been being have has had having do does did doing done can could may might must shall should will
would i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll we're we've we'd
we'll they're they've they'd they'll that's there's what's who's here's let's
"""
_NEGATIONS = """
no nor not never neither don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't can't cannot couldn't
won't wouldn't shouldn't mustn't needn't ain't
"""
_JOINING = """
a an the and but or so if because as until while than though although unless since whether of at by for with about
against between among into through during before after above below to from up down in out on off over under upon within
without toward towards
"""
_OTHERS = """
again further then once here there when where why how all any both each few more most other others some such only own
same too very just now also even much many
"""

STOP_WORDS = frozenset("\n".join((_PRONOUNS, _VERBS, _NEGATIONS, _JOINING, _OTHERS)).split())
"""In lower case, with straight apostrophes."""
