"""What a run says of itself in words: the blanks of checklists, and the paragraph for a paper's methods section."""

# code-data: ct4bench/provenance/references.bib

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ct4bench.core.benchmark import DOMAIN_LABELS, NO_METHOD
from ct4bench.core.metrics import MAIN_METRICS
from ct4bench.core.regions import Phantom, phantom_of
from ct4bench.provenance.known import Known
from ct4bench.results.run_facts import COLLECTION, SYNTHETIC, extractor_title

BIBLIOGRAPHY = Path(__file__).with_name("references.bib")
INTERPOLATION = {"": "linear", "linear": "linear", "nearest": "nearest-neighbour", "bspline": "cubic B-spline"}
"""Words of `--interpolator`; blank is the mode's own."""
ORIGIN_CITED = {COLLECTION: "amirian_ct4harmonization, ct4harmonization_data"}


def _listed(words) -> str:
    words = [str(word) for word in words]
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def _different(rows, column: str) -> list[str]:
    """Different values of a column, numbers in their order."""
    found = {row[column] for row in rows if row[column]}
    try:
        return [f"{value:g}" for value in sorted({float(value) for value in found})]
    except ValueError:
        return sorted(found)


def _protocol(known: Known) -> str:
    """Makers, voltages, doses, reconstructions, slices and pixels of all series."""
    rows = known.series
    spacing = [float(value) for value in _different(rows, "spacing_row_mm")]
    return (
        f"CT of {len(_different(rows, 'scanner'))} scanners of {len(_different(rows, 'maker'))} makers; "
        f"{_listed(_different(rows, 'kvp'))} kV; {_listed(_different(rows, 'dose_mgy'))} mGy; reconstructions "
        f"{_listed(_different(rows, 'recon'))}; slices of {_listed(_different(rows, 'slice_thickness_mm'))} mm every "
        f"{_listed(_different(rows, 'slice_increment_mm'))} mm; pixels of {spacing[0]:.3f} to {spacing[-1]:.3f} mm. "
        "All values of each series are listed."
    )


def _radiomics(settings: dict) -> dict[str, str]:
    """Words of the settings of PyRadiomics."""
    values = settings.get("settings", {})
    setting, images = values.get("setting", {}), values.get("imageType", {})
    words = {}
    if images:
        words["image_types"] = _listed(sorted(images))
    if values.get("featureClass"):
        words["feature_classes"] = (
            f"Radiomics: {_listed(sorted(values['featureClass']))}. Deep features have no classes."
        )
    if setting.get("binCount"):
        words["discretization_words"] = f"{setting['binCount']} bins."
    elif setting.get("binWidth"):
        words["discretization_words"] = f"Bins of {setting['binWidth']:g} HU, edges at multiples of it."
    return words


def _extractors(known: Known) -> list[str]:
    """A phrase for each extractor: its name, number of features, library and weights."""
    phrases = []
    for name, values in known.settings.items():
        weights = values.get("weights") or {}
        about = [f"{values['n_features']} features"] if "n_features" in values else []
        about += [f"{package} {version}" for package, version in sorted((values.get("versions") or {}).items())]
        about += [f"weights: {weights['words']}"] if weights.get("words") else []
        about += [f"SHA-256 {weights['sha256'][:12]}…"] if weights.get("sha256") else []
        phrases.append(f"{extractor_title(name, known.first)} ({'; '.join(about)})")
    return phrases


def _methods(known: Known) -> str:
    """The methods of harmonization with their titles."""
    titles = {row["method"]: row["title"] or row["method"] for row in known.harmonization}
    used = [titles.get(name, name) for name in known.facts if name != NO_METHOD]
    return _listed(used) if used else "none"


def _of_phantom(phantom: Phantom, one_mask: bool) -> dict[str, str]:
    """Words of what was scanned: the benchmark's phantom, or that of the user's own by its description."""
    n, counts = len(phantom.regions), Counter(region.tissue for region in phantom.regions)
    same = f"the same {'six' if n == 6 else n} objects are in training and test"
    common = {
        "n_regions_words": "six" if n == 6 else str(n),
        "class_word": phantom.class_word,
        "confounders_words": f"One phantom, so that series differ by the scanner alone; {same}, which the task "
        "tissue_other_roi looks at.",
        "same_objects_words": f"One phantom; {same}, which the task tissue_other_roi looks at.",
    }
    if phantom.is_published:
        return common | {
            "object_words": "the CT4Harmonization phantom",
            "reference_words": "The tissue that was printed, known by construction (cyst, hemangioma, metastasis, "
            "normal liver in six regions).",
            "reference_short_words": "The tissue that was printed, known by construction.",
            "segmentation_words": "Regions come with the series as DICOM SEG",
            "balance_words": "tissues one or two regions",
            "patches_limit_words": "patches larger than most of their regions",
        }
    reference = f"The class of each region, as the description of the phantom has it: {phantom.listed}."
    least, most = min(counts.values()), max(counts.values())
    return common | {
        "object_words": phantom.name,
        "reference_words": reference,
        "reference_short_words": reference,
        "segmentation_words": "Regions were drawn once, on the reference"
        if one_mask
        else "Regions come with the series as DICOM SEG",
        "balance_words": f"classes {least if least == most else f'{least} to {most}'} region{'s' * (most > 1)}",
        "patches_limit_words": "patches that reach beyond their regions by what index/patches.csv says",
    }


def _metrics(facts: dict, cited: bool = False) -> list[str]:
    """Metrics of pairs whose tables the run has, or of which nothing says that it has not."""
    made = [metric for metric in MAIN_METRICS if metric.table not in facts.get("missing", {})]
    return [f"{metric.label}{' [@ssim]' if cited and metric.name == 'ssim' else ''}" for metric in made]


def words_of(known: Known) -> dict[str, str]:
    """Return what is known of a run by the names that checklists use; what is not known is not among them."""
    facts = known.first
    own = _of_phantom(phantom_of(facts), any(p.name == "mask" and not p.is_default for p in known.parameters))
    synthetic = facts["origin"] == SYNTHETIC
    words = own | {
        "version": known.versions["ct4bench"],
        "method": known.method,
        "seed": known.value("seed"),
        "part": facts["part"],
        "origin_words": facts["origin_words"],
        "collection_words": ", public, doi:10.7937/M0PB-BH69" if facts["origin"] == COLLECTION else "",
        "domain_words": f"{DOMAIN_LABELS.get(facts['domain'], facts['domain'])}s".capitalize(),
        "methods_words": _methods(known),
        "classifiers_words": known.value("other_classifiers").replace("_", " ").replace(",", ", ") or "no other",
        "extractors_words": f"{'; '.join(_extractors(known))}.",
        "n_features_words": _listed(
            f"{values['n_features']} ({extractor_title(name, facts)})"
            for name, values in known.settings.items()
            if "n_features" in values
        ),
        "n_trainings_words": "All trainings are listed.",
        "measures_words": "; ".join(
            ["ICC for stability", *([f"{_listed(_metrics(facts))} for images"] if _metrics(facts) else [])]
        ),
        "performance_words": "Accuracy of every feature set over the number of training scanners.",
        "limits_words": (
            "The input is synthetic, so that no number says anything about real scanners; one phantom, and "
            f"{own['patches_limit_words']}."
            if synthetic
            else f"One phantom, and {own['patches_limit_words']}; points where paper and code disagree."
        ),
        **_radiomics(known.settings.get("radiomics", {})),
    }
    if facts["origin"] in (SYNTHETIC, COLLECTION):
        words["ethics"] = "No patients; a phantom" + (", simulated." if synthetic else ".")
        words["images_shared"] = (
            "Synthetic images: ct4bench makes them again from its parameters."
            if synthetic
            else "Public: CT4Harmonization-Multicentric, doi:10.7937/M0PB-BH69, CC BY 4.0."
        )
    if known.n_quarantined is not None:
        words["n_quarantined"] = f"{known.n_quarantined} listed here" if known.n_quarantined else "none here"
    if known.series:
        words["patches_per_roi"] = known.value("patches_per_roi")
        words["protocol_words"] = _protocol(known)
        words["preprocessing_words"] = (
            f"Each series was registered rigidly to the reference ({known.value('reference')}); kernels of ct4bench, "
            f"checked against SciPy."
        )
        spacing = known.value("spacing")
        words["resampling_words"] = (
            f"Resampled once, {INTERPOLATION.get(known.value('interpolator'), known.value('interpolator'))} "
            f"interpolation, to {f'voxels of {spacing} mm' if spacing else 'the grid of the reference'}."
        )
    if "radiomics" in known.settings:
        version = (known.settings["radiomics"].get("versions") or {}).get("pyradiomics", "")
        words["standard_words"] = f"PyRadiomics {version}, whose departures from IBSI are listed."
    return words


def _key(row: Mapping) -> str:
    """Key of a method's citation."""
    return f"method_{row['method'].partition('.')[0]}"


def methods_text(known: Known) -> str:
    """Return a paragraph for a paper's methods section, in Markdown, with citations as `[@key]`."""
    words, facts = words_of(known), known.first
    versions = known.versions
    phantom = phantom_of(facts)
    subject, what = "The CT4Harmonization benchmark", "run"
    if not phantom.is_published:
        counted = f"{len(phantom.regions)} regions of {len(phantom.tissues)} classes"
        subject, what = f"{phantom.name}, of {counted}, in the manner of the CT4Harmonization benchmark", "measured"
    cited = ORIGIN_CITED.get(facts["origin"], "amirian_ct4harmonization")
    lines = [
        f"{subject} [@{cited.replace(', ', '; @')}] was {what} with ct4bench {versions['ct4bench']} "
        f"[@ct4bench] on Nextflow {versions['nextflow']} [@nextflow], in mode `{facts['mode']}` with seed "
        f"{words['seed']}. The data were {facts['part']} ({facts['origin_words']})."
    ]
    if facts["origin"] == SYNTHETIC:
        lines.append("As the input is synthetic, no number says anything about real scanners.")
    if known.series:
        lines.append(
            f"{words['preprocessing_words']} {words['resampling_words']} In each of "
            f"{words['n_regions_words']} regions of the phantom, "
            f"{words['patches_per_roi']} patches of 32 x 32 x 16 voxels were drawn once in the reference and used in "
            "all series."
        )
        if compared := _metrics(facts, cited=True):
            lines.append(f"Images were compared by {_listed(compared)}.")
    libraries = {"radiomics": " [@pyradiomics]", "swin_unetr": " [@swin_unetr; @monai]"}
    phrases = [
        f"{phrase}{libraries.get(name, '')}" for name, phrase in zip(known.settings, _extractors(known), strict=True)
    ]
    lines.append(f"Features were {_listed(phrases)}.")
    if "radiomics" in known.settings and "discretization_words" in words:
        lines.append(f"Grey levels of radiomics: {words['discretization_words']}")
    methods = [row for row in known.harmonization if row["method"] in known.facts and row["method"] != NO_METHOD]
    if methods:
        named = [f"{row['title'] or row['method']} [@{_key(row)}]" for row in methods]
        lines.append(f"Methods of harmonization were {_listed(named)}, each beside no harmonization.")
    what = "the printed tissue" if phantom.is_published else "the class of a region"
    lines.append(
        f"Stability was measured by the intraclass correlation ICC(2,1) [@icc] with {facts['domain']} as rater. A "
        f"perceptron (100, 60 and 30 units) told {what}, tested on the {facts['domain']} that was "
        "left out, for every number of training scanners, and in ten folds; intervals are 95 %, over scanners and over "
        "regions. Pictures of features are by UMAP [@umap]. The run is described by an RO-Crate "
        "(`ro-crate-metadata.json`), its tables by Croissant (`croissant.json`); the checklists CLEAR [@clear] "
        "and METRICS [@metrics] are filled in where the run knows the answer."
    )
    return " ".join(lines)


def _entries() -> dict[str, str]:
    """Entries of references.bib by key."""
    texts = BIBLIOGRAPHY.read_text(encoding="utf-8").strip().split("\n\n")
    return {re.match(r"@\w+\{([^,]+),", text)[1]: text for text in texts}


def _braced(text: str) -> str:
    """A text as BibTeX takes it in braces: without what it would read as its own."""
    return re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def bibliography(text: str, known: Known) -> str:
    """Return the BibTeX entries that a text cites, by key."""
    # variants of a method have one citation
    own = {_key(row): row for row in reversed(known.harmonization)}
    entries = _entries()
    found = []
    for key in sorted(set(re.findall(r"@([a-z0-9_]+)", text))):
        if key in own:
            row = own[key]
            found.append(
                f"@misc{{{key},\n  title = {{{_braced(row['title'] or row['method'])}}},\n"
                f"  note = {{{_braced(row['citation'])}}}\n}}"
            )
        else:
            found.append(entries[key].replace("{VERSION}", f"{{{known.versions['ct4bench']}}}"))
    return "\n\n".join(found) + "\n"
