#!/bin/sh
# Called by the portable packages: `installed` after an installation or upgrade, `removing` before the
# files go for good, `purge` after that. Never fails, because a package manager must not get stuck in it,
# but for `removing` where the agent is protected.
set -u

PATH=/usr/sbin:/usr/bin:/sbin:/bin
UNIT=yagura-agent.service

has_systemd() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1
}

make_user() { # NAME COMMENT
    getent passwd "$1" >/dev/null 2>&1 && return
    if command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers yagura-agent.conf
    elif command -v useradd >/dev/null 2>&1; then
        useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin --comment "$2" "$1"
    else
        echo "yagura: cannot make the user $1; its part runs as nobody" >&2
    fi
}

start() {
    has_systemd || return 0
    for sysctl in /usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl; do
        [ ! -x "$sysctl" ] || { "$sysctl" 60-yagura-agent.conf 2>/dev/null && break; }
    done
    systemctl daemon-reload
    systemctl unmask "$UNIT" 2>/dev/null
    if [ "$1" = first ]; then
        systemctl enable "$UNIT" 2>/dev/null
        systemctl restart "$UNIT"
    else
        systemctl try-restart "$UNIT"
    fi
}

# The console is told while the agent still runs. It may be out of reach: ten seconds and no longer.
leave() {
    if [ -z "${YAGURA_KEEP_ACTIVATION:-}" ] && [ -S /run/yagura/control.sock ]; then
        timeout 10 /opt/yagura/bin/yaguractl deactivate >/dev/null 2>&1
    fi
}

main() {
    case ${1:-} in
    installed)
        make_user yagura-scanner "Yagura scanner"
        make_user yagura-inspector "Yagura inspector"
        make_user yagura-messenger "Yagura messenger"
        start "${2:-first}"
        ;;
    removing)
        if [ -e /var/lib/yagura/protection ]; then
            echo "yagura-agent: this agent is protected: give yaguractl release a removal code of the console, or send it release_protection from there; then remove it" >&2
            return 1
        fi
        leave
        if has_systemd; then
            systemctl disable --now "$UNIT" 2>/dev/null
        fi
        ;;
    purge)
        rm -rf /var/lib/yagura /run/yagura /etc/yagura/signatures /etc/yagura/policies
        rmdir /etc/yagura 2>/dev/null
        ;;
    *)
        echo "Usage: /opt/yagura/lifecycle installed [first|upgrade] | removing | purge" >&2
        return 2
        ;;
    esac
    return 0
}

main "$@"
