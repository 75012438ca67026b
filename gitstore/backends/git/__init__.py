"""The git store: every event a commit on its stream's ref. FORMAT.md is the page that binds.

Lowest first: ``gitcommand`` and ``connections`` touch the machine; ``commits``, ``feed``,
``packs`` and ``typenotes`` know bytes; ``refs``, ``objects``, ``journal`` and ``index`` hold
things; ``flushing``, ``reconciling``, ``recovery``, ``typeindex`` and ``repacking`` move them;
``upkeep`` and ``maintaining`` say when; ``writing``, ``reading`` and ``clones`` serve ``store``.
``incoming``, ``chains``, ``arrivals`` and ``adopting`` take other stores' history in, for
``exchanging`` and ``reconciling``; ``relating`` says how two histories stand.
``verifying`` looks by the ``checking_…`` modules; ``repairing`` mends by ``salvaging``,
``restoring``, ``refeeding`` and ``rebuilding``; ``inspecting`` does both for a store that does not
open.
"""
