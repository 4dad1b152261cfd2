"""Metrics: arrays in, :class:`Estimate` (value and error) out, each beside its floor.

Two samples: :func:`wasserstein`, :func:`sliced_wasserstein`, :func:`energy_distance`, :func:`mmd`,
:func:`separation_power`, :func:`correlation_distance`, :func:`c2st`, :func:`frechet_distance`, :func:`fpd`,
:func:`kpd`, :func:`precision_recall`. Copies of training rows: :func:`memorisation`. Use of a synthetic
table: :func:`utility`. Jets: :func:`jet_report`, :func:`w1_mass`, :func:`w1_particles`, :func:`w1_efp`,
:func:`jet_fpd`, :func:`jet_kpd`, :func:`coverage_mmd`, :func:`fpnd`, :func:`jet_auc`.
Posterior draws: :func:`interval_coverage`, :func:`sbc`, :func:`tarp`, :func:`pair_test`.
Unfolding: :func:`migration_matrix`, :func:`conditional_means`, :func:`triangular_discriminator`,
:func:`prior_bias`. Everything that applies to a table, in one record: :func:`report`. Showers: :func:`shower_report`.
"""

from buff.metrics.calibration import Ranks, Tarp, energy_score, interval_coverage, posterior_places, sbc, tarp
from buff.metrics.chi2 import ChiSquared, chi_squared
from buff.metrics.classifier import ClassifierTest, c2st
from buff.metrics.conditional_means import ConditionalMeans, conditional_means
from buff.metrics.correlations import correlation_distance, correlation_matrix
from buff.metrics.distances import sliced_wasserstein, wasserstein, wasserstein_columns
from buff.metrics.downstream import Scores, Utility, utility
from buff.metrics.estimate import Estimate, Quality
from buff.metrics.floor import real_floor
from buff.metrics.frechet import fpd, frechet_distance, kpd
from buff.metrics.histograms import (
    CALO_BINS,
    ZJETS_BINS,
    Separation,
    automatic_bins,
    effective_sample_size,
    separation_power,
    total_variation,
    triangular_discriminator,
)
from buff.metrics.indicators import principal_axes
from buff.metrics.jets import coverage_mmd, fpnd, jet_auc, jet_columns, jet_fpd, jet_kpd, w1_efp, w1_mass, w1_particles
from buff.metrics.jets_report import JetReport, JetScore, jet_report
from buff.metrics.kernels import energy_distance, mmd
from buff.metrics.migration import Migration, migration_matrix
from buff.metrics.neighbours import Manifold, Memorisation, memorisation, precision_recall
from buff.metrics.pairs import pair_test
from buff.metrics.prior import prior_bias
from buff.metrics.record import Report
from buff.metrics.reports import report
from buff.metrics.scores import ColumnScore, TableScores
from buff.metrics.shower_report import ShowerReport, shower_report
from buff.metrics.showers import shower_features, shower_inputs, shower_separations

__all__ = [
    "CALO_BINS",
    "ZJETS_BINS",
    "ChiSquared",
    "ClassifierTest",
    "ColumnScore",
    "ConditionalMeans",
    "Estimate",
    "JetReport",
    "JetScore",
    "Manifold",
    "Memorisation",
    "Migration",
    "Quality",
    "Ranks",
    "Report",
    "Scores",
    "Separation",
    "ShowerReport",
    "TableScores",
    "Tarp",
    "Utility",
    "automatic_bins",
    "c2st",
    "chi_squared",
    "conditional_means",
    "correlation_distance",
    "correlation_matrix",
    "coverage_mmd",
    "effective_sample_size",
    "energy_distance",
    "energy_score",
    "fpd",
    "fpnd",
    "frechet_distance",
    "interval_coverage",
    "jet_auc",
    "jet_columns",
    "jet_fpd",
    "jet_kpd",
    "jet_report",
    "kpd",
    "memorisation",
    "migration_matrix",
    "mmd",
    "pair_test",
    "posterior_places",
    "precision_recall",
    "principal_axes",
    "prior_bias",
    "real_floor",
    "report",
    "sbc",
    "separation_power",
    "shower_features",
    "shower_inputs",
    "shower_report",
    "shower_separations",
    "sliced_wasserstein",
    "tarp",
    "total_variation",
    "triangular_discriminator",
    "utility",
    "w1_efp",
    "w1_mass",
    "w1_particles",
    "wasserstein",
    "wasserstein_columns",
]
