"""The type checker that the import hook puts under the companion."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float
