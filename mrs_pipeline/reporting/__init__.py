"""Reports: the leaderboard, its plots and one self-contained HTML page, as pure functions of frames.

Here belong: ranking and paired tests of stored metrics (`leaderboard`), the taxonomy matrix,
figures (`plots`), sentences (`narrative`), thumbnails and the HTML (`html`, `templates/`).
Not here: reading the lake (orchestration fills `inputs.ReportInputs`), computing a metric (`evaluation`).
"""
