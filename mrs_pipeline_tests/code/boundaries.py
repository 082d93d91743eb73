"""Where closures of the real package end: registries that import their classes, until they hold references.

To be removed, entry by entry, as registries come to hold `boundary({...})` of references.
"""

CHOSEN_BY_NAME = (
    "mrs_pipeline.models.registry:MODELS",
    "mrs_pipeline.models.pretraining.registry:PRETRAINERS",
    "mrs_pipeline.encoders.registry:_open_text",
    "mrs_pipeline.encoders.registry:_open_image",
    "mrs_pipeline.encoders.registry:_open_audio",
    "mrs_pipeline.encoders.registry:_open_video",
)
