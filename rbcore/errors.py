"""Every error this library raises on purpose: one sentence that names value and remedy."""

import re
import unicodedata

LONG_WORD = re.compile(r"\S{400,}")
"""A path or a name that is cut in its middle where it is shown."""
LINE_BREAK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+[ ]*")


class RobustnessBiasError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a user as it is.

    Examples
    --------
    >>> import rbcore as rb
    >>> try:
    ...     rb.load_dataset("digit")
    ... except rb.RobustnessBiasError as error:
    ...     print(str(error).partition(" Known")[0])
    There is no dataset 'digit'. Did you mean 'digits'?
    """

    def __str__(self) -> str:
        """Return the text in one line.

        Control characters and stray bytes, which it may quote from a file, are spelled out.
        """
        text = LINE_BREAK.sub(" ", super().__str__())
        spelled = "".join(
            letter.encode("ascii", "backslashreplace").decode()
            if unicodedata.category(letter) == "Cs"
            else f"\\x{ord(letter):02x}"
            if unicodedata.category(letter) == "Cc"
            else letter
            for letter in text
        )
        return LONG_WORD.sub(lambda word: f"{word[0][:200]}...{word[0][-100:]}", spelled)


class UnknownNameError(RobustnessBiasError):
    """A dataset, model, method, run, epoch, partition or parameter that does not exist."""


class ParameterError(RobustnessBiasError):
    """A value that a parameter does not allow."""


class DatasetError(RobustnessBiasError):
    """Images or labels that are missing, unreadable or inconsistent."""


class ModelError(RobustnessBiasError):
    """An architecture that cannot take the images it is asked to take."""


class CheckpointError(RobustnessBiasError):
    """Weights or their sidecar that are missing, altered or do not fit the network."""


class MethodError(RobustnessBiasError):
    """A distance method that cannot be applied to this network or with these parameters."""


class MeasureError(RobustnessBiasError):
    """A table, partition or policy for which a measure is not defined."""


class StoreError(RobustnessBiasError):
    """A cache folder or file that cannot be read or written."""


class OldCacheError(StoreError):
    """A file of the cache that an older version wrote, and that can be migrated."""


class TrainingError(RobustnessBiasError):
    """A training run that cannot start or cannot go on."""


class DeviceError(RobustnessBiasError):
    """A device that this machine does not have."""


class Cancelled(RobustnessBiasError):
    """The user asked a long call to stop; what was finished is kept."""
