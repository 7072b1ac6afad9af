"""Settings that are one of a few words."""

from __future__ import annotations

from enum import StrEnum


class WhenFull(StrEnum):
    """Which records are lost when the spool is full."""

    DROP_NEWEST = "drop_newest"
    DROP_OLDEST = "drop_oldest"


class NumericStatistic(StrEnum):
    """What may give evidence of drift in a number."""

    KS = "ks"
    WASSERSTEIN = "wasserstein"
    PSI = "psi"
    JENSEN_SHANNON = "jensen_shannon"
    HELLINGER = "hellinger"
    CHI_SQUARED = "chi_squared"
    G_TEST = "g_test"


class CategoricalStatistic(StrEnum):
    """What may give evidence of drift in a feature with levels."""

    PSI = "psi"
    JENSEN_SHANNON = "jensen_shannon"
    HELLINGER = "hellinger"
    CHI_SQUARED = "chi_squared"
    G_TEST = "g_test"


class ToldBy(StrEnum):
    """Who tells the receivers."""

    MONITOR = "monitor"
    ALERTMANAGER = "alertmanager"


class Device(StrEnum):
    """Where models are computed."""

    AUTO = "auto"  # on CUDA where there is such a device, else on the CPU
    CUDA = "cuda"
    CPU = "cpu"


class TokenAlgorithm(StrEnum):
    """How tokens may be signed (RFC 7518 §3.1, RFC 8037 §3.1): by what only the issuer can sign with."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"
