"""`eval.experiment_arms`: an experiment's arms, one row an arm, part and seed. Made by `stages.study`."""

from mrs_pipeline.tables.base import Column, TableSchema

EXPERIMENT_ARMS = TableSchema(
    path="eval/experiment_arms",
    description="One arm of an experiment with one seed, or one part of its vectors.",
    columns={
        "arm": Column("VARCHAR", "What was trained, in words; the first arm is the control."),
        "position": Column("BIGINT", "Place of the arm in the experiment, 0 for the control."),
        "series": Column("VARCHAR", "What the arm is one of: a branch of the taxonomy, a model."),
        "against": Column("VARCHAR", "The arm that it is held against; its own name for a control."),
        "part": Column("VARCHAR", "`whole`, or the part of the vectors that was scored alone."),
        "model": Column("VARCHAR", "Name in the zoo."),
        "settings": Column("VARCHAR", "All settings of the model, as JSON."),
        "modalities": Column("VARCHAR[]", "Modalities that it saw."),
        "removed": Column("DOUBLE", "Share of each modality's rows that was taken away."),
        "seed": Column("BIGINT", "Seed of rows taken away, weights and sampling."),
        "slice": Column("VARCHAR", "Which test items count: all, warm or cold."),
        "metric": Column("VARCHAR", "recall, ndcg, precision, map, mrr or hit."),
        "k": Column("BIGINT", "Length of the list."),
        "users": Column("BIGINT", "Users that the mean is taken over."),
        "value": Column("DOUBLE", "Mean over users, between 0 and 1."),
        "ci_low": Column("DOUBLE", "Lower end of the 95 % interval over users."),
        "ci_high": Column("DOUBLE", "Upper end of the 95 % interval over users."),
        "seconds": Column("DOUBLE", "Seconds of training and validation, pre-training included."),
        "seconds_per_epoch": Column("DOUBLE", "Median seconds of an epoch."),
        "epochs": Column("BIGINT", "Epochs that were run."),
        "peak_memory_mb": Column("DOUBLE", "The most memory that the arm's process held; on a GPU, there."),
        "parameters": Column("BIGINT", "Trained numbers."),
        "threads": Column("BIGINT", "CPU threads that it was given."),
        "dependence": Column("DOUBLE", "Mean distance correlation between parts; NULL for arms without."),
        "protocol": Column("VARCHAR", "The rules behind the number."),
        "data_digest": Column("VARCHAR", "Digest of the split that was measured on."),
        "code_digest": Column("VARCHAR", "Version of the code that measured."),
    },
    lineage={"value": (("core/splits", "user"), ("core/splits", "item"), ("core/splits", "split"))},
)
