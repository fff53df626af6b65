"""The registration networks of the paper: torch modules that know nothing of data sets or benchmarks."""

from models.network import Registration, RegistrationNetwork
from models.official import load_official, save_official
from models.variants import create, names

__all__ = ["Registration", "RegistrationNetwork", "create", "load_official", "names", "save_official"]
