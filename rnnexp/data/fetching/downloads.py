"""The data sets that `rnnexp data fetch` downloads: their URLs, files and checksums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnnexp.data.sources.ett import FILES as ETT_FILES
from rnnexp.data.sources.ett import read_ett
from rnnexp.data.sources.gefcom2014 import FILE as GEFCOM2014_FILE
from rnnexp.data.sources.gefcom2014 import read_gefcom2014
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.data.text.name_files import read_names
from rnnexp.data.text.review_files import categories, read_first
from rnnexp.data.vectors.files import read_vectors

GIB = 2**30


@dataclass(frozen=True)
class Download:
    """A data set that is downloaded as one file.

    packing: the format of the download; `file`: it is not an archive, and kept unchanged.
    members: patterns of the files to extract (`*` matches one part of a path). A pattern is the
        path in the source's folder, and matches the end of a path in the archive. If packing is
        `file`: the name of the file in the folder.
    largest: most bytes of the download, and after unpacking, generously; more is not the expected
        archive.
    checksum: ALGORITHM:SUM of the download; None if the publisher gives none: then the first
        download is compared with later ones.
    read: reads the folder, and raises UserError if the files are not as expected.
    by_hand: how to download the data by hand, as the end of a sentence.
    size: of the download, if it is known. folder: a folder shared by several sources; None: a
        folder named after the source.
    family: patterns of the files in a shared folder that hold such data, under other names too.
    """

    name: str
    description: str
    licence: str
    home: str
    url: str
    checksum: str | None
    packing: Literal["zip", "tar.gz", "file"]
    members: tuple[str, ...]
    largest: int
    read: Callable[[Path], object]
    by_hand: str
    size: str = ""
    folder: str | None = None
    family: tuple[str, ...] = ()


def _read_reviews(folder: Path) -> None:
    """Check the files: read the first review of each."""
    root = folder / "sorted_data"
    for category in categories(root):
        read_first(root, category, 1)


def _reads_vectors(name: str, dimension: int) -> Callable[[Path], object]:
    return lambda folder: read_vectors(folder / name, ["the"], dimension)


_LANGUAGES = (
    "Arabic Chinese Czech Dutch English French German Greek Irish Italian Japanese Korean Polish "
    "Portuguese Russian Scottish Spanish Vietnamese"
)
_ZONES = "AEP COMED DAYTON DEOK DOM DUQ EKPC FE NI PJME PJMW PJM_Load"

DOWNLOADS = {
    download.name: download
    for download in (
        Download(
            name="power_load",
            description="hourly electric load of 12 zones in the eastern USA, MW, 1998 to 2018",
            licence="CC0",
            home="https://www.kaggle.com/datasets/robikscube/hourly-energy-consumption",
            url="https://www.kaggle.com/api/v1/datasets/download/"
            "robikscube/hourly-energy-consumption",
            checksum=None,  # Kaggle packs the archive on demand and gives no checksum
            packing="zip",
            members=tuple(f"{zone}_hourly.csv" for zone in _ZONES.split()),
            largest=GIB,
            read=read_power_load,
            by_hand="log in there with a browser, download the zip and unpack its "
            "NAME_hourly.csv files",
        ),
        Download(
            name="gefcom2014",
            description="hourly electric load, MW, 2006 to 2014, and temperature, F",
            size="2.4 MB",
            licence="none stated; cite Hong et al. 2016",
            home="http://blog.drhongtao.com/2017/03/gefcom2014-load-forecasting-data.html",
            # One sheet of the competition's archive as CSV. The commit fixes the content.
            url="https://raw.githubusercontent.com/turtles3040/datasets/"
            "b3a99dd1c62274fc39b79966a5a8c5678f6a9655/GEFCom2014-E.csv",
            checksum=None,  # none is published
            packing="file",
            members=(GEFCOM2014_FILE,),
            largest=GIB,
            read=lambda folder: read_gefcom2014([folder]),
            by_hand="download GEFCom2014.zip, unpack its GEFCom2014-E.xlsx, and save the sheet "
            "Hourly (Date,Hour,load,T) as GEFCom2014-E.csv",
        ),
        Download(
            name="ett",
            description="hourly load and oil temperature of two transformers, 2016 to 2018",
            licence="CC BY-ND 4.0",
            home="https://github.com/zhouhaoyi/ETDataset",
            url="https://github.com/zhouhaoyi/ETDataset/archive/"
            "1d16c8f4f943005d613b5bc962e9eeb06058cf07.tar.gz",
            checksum=None,  # GitHub packs the archive on demand and gives no checksum
            packing="tar.gz",
            members=ETT_FILES,
            largest=GIB,
            read=lambda folder: read_ett([folder]),
            by_hand="download ETTh1.csv and ETTh2.csv from its folder ETT-small, and put them",
        ),
        Download(
            name="reviews",
            description="Multi-Domain Sentiment Dataset: product reviews, 25 categories",
            size="1.5 GB",
            licence="none stated; cite Blitzer et al. 2007",
            home="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/",
            url="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/unprocessed.tar.gz",
            checksum=None,  # none is published
            packing="tar.gz",
            members=("sorted_data/*/negative.review", "sorted_data/*/positive.review"),
            largest=16 * GIB,
            read=_read_reviews,
            by_hand="download unprocessed.tar.gz or domain_sentiment_data.tar.gz and unpack it",
        ),
        Download(
            name="names",
            description="20,074 last names of 18 languages",
            size="3 MB",
            licence="none stated; from S. Robertson's tutorial on character RNNs",
            home="https://docs.pytorch.org/tutorials/intermediate/"
            "char_rnn_classification_tutorial.html",
            url="https://download.pytorch.org/tutorial/data.zip",
            checksum=None,  # none is published
            packing="zip",
            members=tuple(f"{language}.txt" for language in _LANGUAGES.split()),
            largest=GIB,
            read=read_names,
            by_hand="download data.zip, which is linked there, and unpack the Language.txt files "
            "of its folder names",
        ),
        Download(
            name="glove",
            description="GloVe word vectors, 400,000 words, 100 dimensions",
            size="0.9 GB",
            licence="PDDL",
            home="https://nlp.stanford.edu/projects/glove/",
            url="https://nlp.stanford.edu/data/glove.6B.zip",
            checksum="sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
            packing="zip",
            members=("glove.6B.100d.txt",),
            largest=GIB,
            read=_reads_vectors("glove.6B.100d.txt", 100),
            by_hand="download glove.6B.zip and unpack its glove.6B.100d.txt",
            folder="embeddings",
            family=("glove*",),
        ),
        Download(
            name="word2vec",
            description="word2vec vectors, 3 million words of news, 300 dimensions",
            size="1.7 GB",
            licence="Apache 2.0",
            home="https://code.google.com/archive/p/word2vec/",
            url="https://github.com/RaRe-Technologies/gensim-data/releases/download/"
            "word2vec-google-news-300/word2vec-google-news-300.gz",
            checksum="md5:a5e5354d40acb95f9ec66d5977d140ef",
            packing="file",
            members=("GoogleNews-vectors-negative300.bin.gz",),
            largest=4 * GIB,
            read=_reads_vectors("GoogleNews-vectors-negative300.bin.gz", 300),
            by_hand="put GoogleNews-vectors-negative300.bin.gz, which is linked there,",
            folder="embeddings",
            family=("GoogleNews*", "word2vec*"),
        ),
    )
}
