# Each recipe is one call of the same script or command that CI and README use: `just` is a convenience, never needed.

# list the recipes
default:
    @just --list

# every test, emulators included
test *args:
    bash infra/local/test {{args}}

# format and lints, as CI checks them
lint:
    cargo fmt --all --check && cargo clippy --workspace --all-targets --locked -- -D warnings

# the main job on real data
demo *args:
    bash infra/local/demo {{args}}

# the whole path beside its peers
bench *args:
    bash tests/bench/run {{args}}

# fuzz targets, each for some seconds; needs the nightly compiler
fuzz *args:
    bash infra/local/fuzz {{args}}

# write the golden files anew; look at the diff before committing
golden:
    UPDATE_GOLDEN=1 bash infra/local/test --package tests

fmt:
    cargo fmt --all

# what CI runs
ci:
    bash .ci/run
