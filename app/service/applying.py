"""A schedule by its name: created where there is none, else replaced."""

from collections.abc import Callable

from app.core.errors import QuotaExceededException
from app.core.schedule import AfterCompletion, Definition, Schedule
from app.service.changes import Changed, redefine
from app.service.creating import create
from app.service.transactions import Work
from app.store import schedules
from app.store.schedules import name_taken


async def apply(
    work: Work,
    name: str,
    define: Callable[[Schedule | None], Definition],
    check: Callable[[int | None], None],
    *,
    quota: int,
) -> Changed:
    """Have the community's schedule of that name be what `define` says, which is called with the schedule as it is.

    `check` is called with its revision before. Both get null where there is none: it is created then. What `define`
    returns has the name.

    What is equal to the stored definition changes nothing, and is not put into the wheel either: files are applied by
    the thousand, again and again.

    Raises what `check`, `define`, `create` and `redefine` raise; NameTakenException only where another schedule got the
    name since it was looked for.
    """
    current = await schedules.lock_named(work.connection, work.community_id, name)
    check(None if current is None else current.revision)
    definition = define(current)
    assert definition.name == name, "another one, if it is taken, would be tried without an end"
    if current is None:
        # One that is deleted when it has fired may have done so: who applies its file again does not mean it twice.
        late = definition.after_completion is not AfterCompletion.DELETE
        try:
            return Changed(await create(work, definition, quota=quota, late=late), revision_before=0)
        except QuotaExceededException:
            # Whoever had the turn before this one may have taken the last place for the very same name.
            if await schedules.lock_named(work.connection, work.community_id, name) is None:
                raise
            raise name_taken(definition) from None
    schedule = await redefine(work, current, definition)
    if schedule.revision != current.revision:
        work.look_at(schedule)
    return Changed(schedule, current.revision)
