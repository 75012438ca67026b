"""The git store: every event a commit on its stream's ref. FORMAT.md is the page that binds.

Lowest first: ``gitcommand`` and ``connections`` touch the machine; ``commits``, ``feed`` and
``packs`` know bytes; ``refs``, ``objects``, ``journal`` and ``index`` hold things; ``flushing``,
``reconciling`` and ``recovery`` move them; ``upkeep`` says when; ``writing``, ``reading`` and
``verifying`` serve ``store``.
"""
