"""The bench reports; no time is ever asserted."""

from mrs_pipeline.bench.training import bench_train


def test_one_row_a_model_from_its_own_process(market):
    rows = bench_train(
        market.data, {"most_pop": {}, "freedom": {"embedding_size": 8, "knn_k": 3}}, epochs=2, threads=1
    )
    assert [row["model"] for row in rows] == ["most_pop", "freedom"]
    for row in rows:
        assert (row["users"], row["items"], row["interactions"]) == (60, 40, len(market.data.train))
        assert row["threads"] == 1
        assert row["seconds_per_epoch"] > 0 and row["seconds_per_evaluation"] > 0
        assert 0 < row["peak_memory_mb"] < 100 < row["process_memory_mb"] < 5000
