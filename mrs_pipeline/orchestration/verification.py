"""`NAME_verify`: a job that recomputes the digests of all that is kept of a dataset, and its nightly schedule."""

import dagster as dg

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.verifying import verify

EVERY_NIGHT = "0 3 * * *"
_MOST_SHOWN = 5


def build_verification(config: DatasetConfig, home: Home) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """The job, and its schedule, which stands still until the dataset's YAML or the UI switches it on."""

    @dg.op(name=f"{config.name}__verify")
    def recompute(context: dg.OpExecutionContext) -> None:
        found = verify(home, {config.name: config}, config.name)
        context.add_output_metadata({"looked at": found.looked_at, "damaged": len(found.faults)})
        if found.faults:
            named = "; ".join(
                f"{fault.what} at window {fault.window} {fault.reason}"
                for fault in found.faults[:_MOST_SHOWN]
            )
            raise dg.Failure(
                description=f"{len(found.faults)} of {found.looked_at} are not what was written: {named}. "
                f"`mrs verify {config.name}` says what to do about each.",
                allow_retries=False,
            )

    @dg.job(
        name=f"{config.name}_verify",
        description="Recomputes the digests of tables, arrays, weights, checkpoints, pages and what champions keep.",
    )
    def job() -> None:
        recompute()

    schedule = dg.ScheduleDefinition(
        name=f"{config.name}_verify_nightly",
        job=job,
        cron_schedule=EVERY_NIGHT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING
        if config.automation.verify
        else dg.DefaultScheduleStatus.STOPPED,
        description="Looks every night whether what is stored is still what was written.",
    )
    return job, schedule
