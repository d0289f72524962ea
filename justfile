# Each recipe is one call of the same script or command that CI and README use: `just` is a convenience, never needed.

# list the recipes
default:
    @just --list

# every test, emulators included
test *args:
    bash infra/local/test {{args}}

# so many simulated histories of several processes, faults and crashes, from a seed on (0)
sim count first="0":
    ALLUVIUM_SIM_SEEDS={{count}} ALLUVIUM_SIM_FIRST={{first}} bash infra/local/test --package tests simulation::seeds -- --nocapture

# format and lints, as CI checks them
lint:
    cargo fmt --all --check && cargo clippy --workspace --all-targets --locked -- -D warnings

# the main job on real data
demo *args:
    bash infra/local/demo {{args}}

# emulators, the service between them, real events and the page; Ctrl-C ends all of it
up *args:
    bash infra/local/up {{args}}

# a benchmark: peers, memory, scaling, live or kinesis
bench what="peers" *args:
    bash tests/bench/run {{what}} {{args}}

# instructions of each stage against those that are committed; `just instructions --update` takes new ones over
instructions *args:
    bash infra/local/instructions {{args}}

# two machines with Amazon's Kinesis Client Library: fetches its jars (74 MB) and fails where they cannot be had
kcl *args:
    bash infra/kcl/setup && ALLUVIUM_KCL=required bash infra/local/test --package tests kcl {{args}}

# the reader's page in Chromium: installs both and fails where they cannot be had
page *args:
    bash infra/page/setup && ALLUVIUM_PAGE=required bash infra/local/test --package tests page:: {{args}}

# fuzz targets, each for some seconds; needs the nightly compiler
fuzz *args:
    bash infra/local/fuzz {{args}}

# 200 kills of processes that share a stream, over a faulty store, while it is resharded
torture kills="200":
    ALLUVIUM_TORTURE_KILLS={{kills}} bash infra/local/test --package tests torture:: -- --nocapture

# write the golden files anew; look at the diff before committing
golden:
    UPDATE_GOLDEN=1 bash infra/local/test --package tests

# every order of the protocol's steps, on a longer stream than in the tests
model:
    ALLUVIUM_MODEL=large cargo test --locked -p tests --test it model:: -- --nocapture

fmt:
    cargo fmt --all

# what CI runs
ci:
    bash .ci/run
