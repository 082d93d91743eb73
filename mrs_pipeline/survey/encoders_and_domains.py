"""Encoders that the survey names and domains that it lists, with what reads them here."""

from typing import Final

from mrs_pipeline.survey.rows import Domain, SurveyEncoder

SURVEY_ENCODERS: Final = (
    SurveyEncoder(
        "CNN, ResNet",
        "image",
        ("image.transformer", "efficientnet_lite0"),
        "ResNets and other networks of the `transformers` library; EfficientNet comes in a package",
    ),
    SurveyEncoder("ViT", "image", ("image.transformer",), "regions with `pooling: none`"),
    SurveyEncoder("BERT, Transformer", "text", ("text.transformer", "minilm"), "words with `pooling: none`"),
    SurveyEncoder(
        "RNN",
        "text",
        (),
        "none: transformers took their place; vectors that one made are read as a ready matrix",
    ),
    SurveyEncoder(
        "Sentence2vec, TF-IDF", "text", ("tfidf_svd", "minilm"), "without and with a pretrained network"
    ),
    SurveyEncoder(
        "one-hot", "identifiers", ("identity",), "and the identifiers that models learn by themselves"
    ),
    SurveyEncoder("CLIP", "image, text", ("image.clip", "text.clip"), "both kinds in one space"),
    SurveyEncoder("large vision-language model", "image, text", ("vision_language",), "one vector of both"),
    SurveyEncoder(
        "spectrogram, VGGish", "audio", ("log_mel", "audio.transformer"), "classical, or any audio network"
    ),
    SurveyEncoder(
        "frames, 3-D CNN", "video", ("frames", "video.transformer"), "frames by an image encoder, or clips"
    ),
)

DOMAINS: Final = (
    Domain(
        "Micro-video",
        ("microlens", "microlens-mmctr", "mmssl", "diffmm", "kuairec", "kuairand"),
        "views and likes beside the chosen kind are shown and not trained on",
    ),
    Domain(
        "Films",
        ("ml-100k", "ml-1m", "ml-10m", "ml-csv", "netflix", "douban-dmsc"),
        "posters and plots come from a folder of your own; comments of DMSC are not read",
    ),
    Domain(
        "Fashion",
        ("hm", "pog", "amazon-2014", "amazon-2018", "amazon-2023"),
        "outfits of POG are not read, their items are; reviews are interactions, without their text",
    ),
    Domain("News", ("mind",), "pictures of V-MIND come from a folder of your own"),
    Domain(
        "Restaurants and places",
        ("yelp", "gowalla", "foursquare", "foursquare-world"),
        "texts of reviews and friends are not read",
    ),
    Domain("Music", ("lastfm-2k", "lastfm-360k", "lastfm-1k"), "friends of lastfm-2k are not read"),
    Domain("Books", ("goodreads", "goodreads-csv", "book-crossing"), "texts of reviews are not read"),
    Domain("Games", ("steam-au", "steam-reviews", "steam-200k"), "texts of reviews are not read"),
    Domain(
        "Social",
        ("douban", "lastfm-2k", "gowalla", "yelp"),
        "interactions alone: no model of ours reads a graph of friends. Users who share items are a graph that is "
        "made from training rows",
    ),
)
