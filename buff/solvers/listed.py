"""Solvers by name, with where they come from."""

from dataclasses import replace

from buff.solvers.adaptive import Adaptive, AdaptiveExponential, ScipyAdaptive
from buff.solvers.ancestral import Ancestral, Consistency, DpmSde
from buff.solvers.base import SOLVERS, AdamsBashforth, IntegratingFactor, Solver
from buff.solvers.excursions import Churned, Restart
from buff.solvers.exponential import ExponentialMultistep, ExponentialSinglestep
from buff.solvers.langevin import EulerMaruyama, PredictorCorrector
from buff.solvers.noise_multistep import NoiseMultistep, PseudoNumerical
from buff.solvers.runge_kutta import ReducedRungeKutta, RungeKutta
from buff.solvers.tableaus import BOGACKI_SHAMPINE, DORMAND_PRINCE, HEUN, MIDPOINT, RALSTON, RK4, RK38
from buff.solvers.unipc import UniPC

__all__ = ["LISTED"]

_ADAMS = "Bashforth, Adams, 1883"
_COX = "Cox, Matthews, 2002, doi:10.1006/jcph.2002.6995"
_DDIM = "Song, Meng, Ermon, 2020, arXiv:2010.02502"
_DDPM = "Ho, Jain, Abbeel, 2020, arXiv:2006.11239"
_DEIS = "Zhang, Chen, 2022, arXiv:2204.13902"
_DPM = "Lu et al., 2022, arXiv:2206.00927"
_DPMPP = "Lu et al., 2022, arXiv:2211.01095"
_EDM = "Karras et al., 2022, arXiv:2206.00364"
_KUTTA = "Kutta, 1901"
_PNDM = "Liu, Ren, Lin, Zhao, 2022, arXiv:2202.09778"
_SDE = "Song et al., 2020, arXiv:2011.13456"
_UNIPC = "Zhao et al., 2023, arXiv:2302.04867"

_HALF, _THIRDS = (1 / 2,), (1 / 3, 2 / 3)
_DPM2, _DPM3 = ExponentialSinglestep(_HALF, "noise"), ExponentialSinglestep(_THIRDS, "noise")
_DPMPP_2S, _DPMPP_3S = ExponentialSinglestep(_HALF), ExponentialSinglestep(_THIRDS)

#: Solvers by name, each with its reference.
LISTED: dict[str, tuple[Solver, str]] = {
    "euler": (RungeKutta(), "Euler, 1768"),
    "midpoint": (RungeKutta(MIDPOINT), "Runge, 1895"),
    "midpoint_nodes": (RungeKutta(MIDPOINT, span=2), "Runge, 1895"),
    "ralston": (RungeKutta(RALSTON), "Ralston, 1962"),
    "ralston_nodes": (RungeKutta(RALSTON, span=3), "Ralston, 1962"),
    "heun": (RungeKutta(HEUN), "Heun, 1900"),
    "bogacki_shampine": (RungeKutta(BOGACKI_SHAMPINE), "Bogacki, Shampine, 1989"),
    "bogacki_shampine_nodes": (RungeKutta(BOGACKI_SHAMPINE, span=4), "Bogacki, Shampine, 1989"),
    "rk4": (RungeKutta(RK4), _KUTTA),
    "rk4_nodes": (RungeKutta(RK4, span=2), _KUTTA),
    "rk38": (RungeKutta(RK38), _KUTTA),
    "rk38_nodes": (RungeKutta(RK38, span=3), _KUTTA),
    "dopri5": (RungeKutta(DORMAND_PRINCE), "Dormand, Prince, 1980"),
    "dopri5_adaptive": (Adaptive(DORMAND_PRINCE), "Dormand, Prince, 1980"),
    "bogacki_shampine_adaptive": (Adaptive(BOGACKI_SHAMPINE), "Bogacki, Shampine, 1989"),
    "scipy_rk45": (ScipyAdaptive(), _SDE),
    "ab1": (AdamsBashforth(1), _ADAMS),
    "ab2": (AdamsBashforth(2), _ADAMS),
    "ab3": (AdamsBashforth(3), _ADAMS),
    "ab4": (AdamsBashforth(4), _ADAMS),
    **{f"ifab{k}": (IntegratingFactor(k), _COX) for k in (1, 2, 3)},
    "edm": (ReducedRungeKutta(HEUN), _EDM),
    "edm_stochastic": (Churned(), _EDM),
    "edm_stochastic_nodes": (Churned(snap=True), _EDM),
    "restart": (Restart(), "Xu et al., 2023, arXiv:2306.14878"),
    "restart_nodes": (Restart(snap=True), "Xu et al., 2023, arXiv:2306.14878"),
    **{f"lms{k}": (NoiseMultistep(k, "rho"), _DEIS) for k in (1, 2, 3, 4)},
    **{f"deis{k}": (NoiseMultistep(k, "log_rho"), _DEIS) for k in (1, 2, 3, 4)},
    "ipndm": (NoiseMultistep(4, "fixed"), _PNDM),
    "pndm": (PseudoNumerical(), _PNDM),
    "dpm1": (ExponentialSinglestep(basis="noise"), _DPM),
    "dpm2": (_DPM2, _DPM),
    "dpm3": (_DPM3, _DPM),
    "dpm2_nodes": (replace(_DPM2, span=2), _DPM),
    "dpm3_nodes": (replace(_DPM3, span=3), _DPM),
    "dpm12_adaptive": (AdaptiveExponential(_DPM2), _DPM),
    "dpm23_adaptive": (AdaptiveExponential(_DPM3), _DPM),
    "dpmpp_2s": (_DPMPP_2S, _DPMPP),
    "dpmpp_3s": (_DPMPP_3S, _DPMPP),
    "dpmpp_2s_nodes": (replace(_DPMPP_2S, span=2), _DPMPP),
    "dpmpp_3s_nodes": (replace(_DPMPP_3S, span=3), _DPMPP),
    "dpmpp_2m": (ExponentialMultistep(2), _DPMPP),
    "dpmpp_3m": (ExponentialMultistep(3), _DPMPP),
    "dpmpp_3m_published": (ExponentialMultistep(3, kappa=1.0), _DPMPP),
    "dpmpp_sde": (DpmSde(), _DPMPP),
    "dpmpp_2m_sde": (ExponentialMultistep(2, eta_sde=1.0), _DPMPP),
    "dpmpp_3m_sde": (ExponentialMultistep(3, eta_sde=1.0), _DPMPP),
    "unipc1": (UniPC(1), _UNIPC),
    "unipc2": (UniPC(2), _UNIPC),
    "unipc3": (UniPC(3), _UNIPC),
    "ddim": (Ancestral(eta_ddim=0.0), _DDIM),
    "ddpm": (Ancestral(), _DDPM),
    "ddpm_large": (Ancestral(variance="large"), _DDPM),
    "euler_ancestral": (Ancestral(), _EDM),  # the step of "ddpm", under the name that k-diffusion has for it
    "dpm2_ancestral": (Ancestral(_DPM2), _DPM),
    "dpmpp_2s_ancestral": (Ancestral(_DPMPP_2S), _DPMPP),
    "euler_maruyama": (EulerMaruyama(), _SDE),
    "reverse_diffusion": (EulerMaruyama("discrete"), _SDE),
    "predictor_corrector": (PredictorCorrector(), _SDE),
    "pc_0165_em250": (PredictorCorrector(snr=0.165, n_predictor=250), _SDE),
    "consistency": (Consistency(), "Song, Dhariwal, Chen, Sutskever, 2023, arXiv:2303.01469"),
}

SOLVERS.update({name: solver for name, (solver, _) in LISTED.items()})
