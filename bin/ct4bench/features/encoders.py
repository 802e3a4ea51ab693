"""The deep encoders by name: those of assets/extractors.yaml, and a user's own.

A shipped encoder is found by the name of its module, so that no module of this package imports it; `user_encoders`
makes one from a user's code or file.
"""

import importlib

from ct4bench.core.errors import UserError
from ct4bench.core.extractors import SOURCE, read_extractors
from ct4bench.features.encoder import Encoder, EncoderOptions, refuse_options


def build_encoder(extractor: str, options: EncoderOptions, module: str = "") -> Encoder:
    """Build the encoder of a name, or of `NAME=module:function`, `NAME=file.py:function` or `NAME=settings.yaml`.

    `module` holds a shipped encoder; where it is not given, the list of extractors tells it.
    """
    if module:
        return importlib.import_module(module).encoder(options)
    # a task has no list: what it needs of it came by its arguments
    known = read_extractors() if SOURCE.is_file() else {}
    if "=" in extractor:
        from ct4bench.features.user_encoders import user_encoder

        refuse_options(extractor.partition("=")[0], options, "patch_merging")
        return user_encoder(extractor, options, reserved={*known, "radiomics"})
    shipped = {name: entry.module for name, entry in known.items() if entry.module}
    if extractor not in shipped:
        raise UserError(
            f"--extractor {extractor} is unknown; take one of {', '.join(sorted(shipped))}, or NAME=module:function "
            "or NAME=settings.yaml for an encoder of your own"
        )
    return build_encoder(extractor, options, shipped[extractor])
