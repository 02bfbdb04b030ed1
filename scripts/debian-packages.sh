# Sourced by the setup scripts: `install_packages NAME…` installs Debian packages, or fails with a message that explains
# what to do by hand. The script that sources this defines `fail`.

install_packages() {
    local by_hand="install them by hand (Debian, Ubuntu: apt-get install $*) and start again"
    command -v apt-get >/dev/null || fail "these programs are missing: $*. There is no apt-get here; $by_hand."
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
            fail "these programs are missing: $*. Installing them needs root and there is no sudo without a password; $by_hand."
        as_root=(sudo -n)
    fi

    # The tests start their own servers, so those of the packages must not start and occupy the usual ports. A policy that
    # an administrator has already installed is left as it is.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2064 # expanding the values now is intended
        trap "${as_root[*]} rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    echo "installing $*"
    local log
    log=$(mktemp)
    "${as_root[@]}" apt-get update -q >"$log" 2>&1 ||
        fail "apt-get update failed; if there is no network, $by_hand.
$(tail -n 5 "$log")"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >"$log" 2>&1 ||
        fail "apt-get could not install $*; $by_hand.
$(tail -n 5 "$log")"
    rm "$log"
}
