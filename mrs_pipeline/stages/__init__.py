"""One file a stage: fetches its inputs from the stores, calls pure code, stores and describes the result.

What is computed belongs to the rooms below; how a stage is scheduled and shown, to `orchestration`.
"""
