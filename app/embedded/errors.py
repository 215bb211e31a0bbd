"""What stops an embedded server from starting, said in words for whoever sits at the terminal."""

from app.core.errors import ScheduleServiceException


class EmbeddedServerException(ScheduleServiceException):
    """An embedded server did not start"""

    code = "EMBEDDED_SERVER"


class DataDirInUseException(EmbeddedServerException):
    """The data directory is in use by another process"""

    code = "DATA_DIR_IN_USE"


class PortTakenException(EmbeddedServerException):
    """The port is taken by another process"""

    code = "PORT_TAKEN"
