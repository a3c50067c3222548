# What the scripts share: saying what happens, and installing what a machine lacks. Sourced, not run.

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "'$*' needs root, and there is no sudo; run it as root, then run this script again"
    fi
}

install_package() {
    as_root apt-get install --yes --quiet "$1" ||
        { as_root apt-get update --quiet && as_root apt-get install --yes --quiet "$1"; } ||
        fail "could not install $1; install it by hand, then run this script again"
}

# need_command COMMAND PACKAGE WHY: a command from a Debian package.
need_command() {
    command -v "$1" >/dev/null && return
    command -v apt-get >/dev/null || fail "no $1, which is needed $3; install it (on Debian and Ubuntu: the package $2)"
    say "Installing $2: $1 is needed $3"
    install_package "$2"
}

# need_python_module MODULE PACKAGE WHY: a module of Python from a Debian package, for the Python that those belong to.
need_python_module() {
    need_command /usr/bin/python3 python3 "$3"
    /usr/bin/python3 -c "import $1" 2>/dev/null && return
    command -v apt-get >/dev/null ||
        fail "/usr/bin/python3 has no module $1, which is needed $3; install it (on Debian and Ubuntu: the package $2)"
    say "Installing $2: the Python module $1 is needed $3"
    install_package "$2"
}

# need_cargo_tool TOOL WHY: a cargo subcommand, built from its released source.
need_cargo_tool() {
    command -v "$1" >/dev/null || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/$1" ] && return
    say "Installing $1: it is needed $2 (built from source, this takes some minutes, once)"
    cargo install --locked "$1" || fail "could not install $1; see above, or install it by hand: cargo install --locked $1"
}

need_rust() {
    command -v cargo >/dev/null ||
        fail "no cargo; install Rust first: https://rustup.rs"
    need_command cc build-essential "to link Rust programs, and to build SQLite and the cryptography of QUIC"
}

# need_browser WHY: Chromium, and what drives it, of the same version.
need_browser() {
    if command -v chromedriver >/dev/null && command -v chromium chromium-browser google-chrome >/dev/null; then return; fi
    command -v apt-get >/dev/null || fail "no chromium or no chromedriver, which are needed $1; install both
       (Fedora: dnf install chromium chromedriver; Arch: pacman -S chromium; openSUSE: zypper install chromium chromedriver)"
    need_command chromium chromium "$1"
    need_command chromedriver chromium-driver "$1"
}

# need_python_packages NAME WHY [OPTION…]: what tests/NAME/requirements.txt lists, from PyPI, into target/NAME; options are pip's.
need_python_packages() {
    local wanted=tests/$1/requirements.txt folder=target/$1 why=$2
    shift 2
    need_command python3 python3 "$why"
    if cmp -s "$wanted" "$folder/installed"; then return; fi
    say "Installing $(grep -o '^[^#].*' "$wanted" | paste -sd ' ') into $folder, $why"
    rm -rf "$folder"
    python3 -m venv "$folder" 2>/dev/null || {
        rm -rf "$folder"
        command -v apt-get >/dev/null || fail "python3 has no venv, which is needed $why"
        install_package python3-venv
        python3 -m venv "$folder"
    }
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" --requirement "$wanted" ||
        fail "could not install what $wanted lists from PyPI, which is needed $why"
    cp "$wanted" "$folder/installed"
}

# check_advisories: what is known to be wrong with what popmesh depends on, by the advisory database, which is fetched. Where it
# cannot be had that is said; one that was left to grow old where there is a network is a failure.
check_advisories() {
    local most_days=90 fetched='' database days
    if cargo deny --locked fetch db; then fetched=yes; fi
    database=$(ls -dt "${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/.git 2>/dev/null | head -n 1 || true)
    if [ -z "$database" ]; then
        say "The advisory database cannot be had from here: advisories are NOT checked"
        return
    fi
    # By its last entry: cargo-deny goes by when it was fetched, and a mirror that stands still would pass for fresh.
    days=$((($(date +%s) - $(git --git-dir "$database" log -1 --format=%ct)) / 86400))
    say "The advisory database is $days days old"
    if [ "$days" -gt "$most_days" ]; then
        if [ -n "$fetched" ] || has_network; then
            fail "the advisory database is $days days old, and may be $most_days: ${database%/.git}
       fetch it where github.com/RustSec/advisory-db can be reached ('cargo deny fetch db'), or remove it"
        fi
        say "There is no network to fetch a newer one by: advisories are NOT checked"
        return
    fi
    if [ -n "$fetched" ]; then cargo deny --locked check advisories
    else cargo deny --locked --offline check advisories
    fi
}

# has_network: whether cargo reaches its registry, asked for a crate that is in no lock file here.
has_network() { CARGO_NET_RETRY=0 cargo info --quiet --registry crates-io cargo-deny >/dev/null 2>&1; }
