# What the scripts share: saying what happens, and installing what a machine lacks. Sourced, not run.

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
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

# need_radio: virtual Bluetooth controllers, from PyPI, in a folder of their own below target.
need_radio() {
    need_command python3 python3 "for virtual Bluetooth controllers"
    if cmp -s tests/radio/requirements.txt target/radio/installed; then return; fi
    say "Installing $(grep -o '^[^#].*' tests/radio/requirements.txt) into target/radio, for virtual Bluetooth controllers"
    rm -rf target/radio
    python3 -m venv target/radio 2>/dev/null || {
        rm -rf target/radio
        command -v apt-get >/dev/null || fail "python3 has no venv, which is needed to install Bumble"
        install_package python3-venv
        python3 -m venv target/radio
    }
    target/radio/bin/pip install --quiet --disable-pip-version-check --requirement tests/radio/requirements.txt ||
        fail "could not install Bumble from PyPI, which the tests of Bluetooth need"
    cp tests/radio/requirements.txt target/radio/installed
}
