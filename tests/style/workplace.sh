#!/bin/sh
# nothing in the tree tells where, or on what machine, it was written
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# found PATTERN [EXCEPT]: lines of text files outside the corpora.
found() {
    files | grep -vE "^(tests/fuzz/corpus/|tests/style/(workplace|checks)\.sh\$|${2:-nowhere/})" | tr '\n' '\0' |
        xargs -0 grep -nIE "$1" /dev/null | cut -c1-160 || true
}

empty "no paths of a developer's machine" "$(found '(^|[^A-Za-z0-9_.$}/-])/(work|home/[a-z]+|Users|root|farm|mnt/[a-z]+)/')"
empty "no path of this clone" "$(files | tr '\n' '\0' | xargs -0 grep -nIF "$(dirname "$ROOT")/" /dev/null | cut -c1-160 |
    grep -v "^$ROOT:" || true)"
empty "no hosts of package registries or mirrors" "$(found '(registry\.npmjs|pypi\.org|files\.pythonhosted|proxy\.golang|deb\.debian\.org|archive\.ubuntu|security\.ubuntu|mirrors?\.[a-z0-9-]+\.[a-z]|artifactory|jfrog)' 'docs/|.*\.md$')"
empty "no private addresses or secrets" "$(found '(AKIA[0-9A-Z]{16}|BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY|ghp_[A-Za-z0-9]{30})' 'tests/.*fixtures/')"
finish
