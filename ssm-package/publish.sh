#!/bin/sh
# Puts what build.sh wrote into Distributor: uploads it, makes the package or a new version of it, and shares
# it; or takes it away again. Needs the aws command and its credentials.
set -eu

usage() {
    cat <<'TEXT'
Usage: ssm-package/publish.sh --bucket BUCKET [--name NAME] [--share ACCOUNTS] [--dry-run] FOLDER
       ssm-package/publish.sh --remove [--name NAME] [--bucket BUCKET] [--dry-run]

  --bucket BUCKET   takes the zips, in the folder yagura/VERSION; with --remove, loses them
  --name NAME       of the package (default Yagura)
  --share ACCOUNTS  ids of accounts with commas between, or All
  --dry-run         print the commands and call none that changes anything
  FOLDER            what build.sh wrote
TEXT
}

die() {
    printf 'publish.sh: %s\n' "$*" >&2
    exit 1
}

# change COMMAND...: calls it, or says that it would.
change() {
    printf '+ %s\n' "$*"
    [ "$DRY_RUN" = yes ] || "$@" >/dev/null || die "it failed: $*"
}

exists() {
    aws ssm describe-document --name "$NAME" "$@" >/dev/null 2>&1
}

upload() {
    change aws s3 cp --only-show-errors --recursive --exclude '*' --include '*.zip' --include manifest.json \
        "$FOLDER" "s3://$BUCKET/yagura/$VERSION"
}

make_version() {
    set -- --name "$NAME" --content "file://$FOLDER/manifest.json" --attachments \
        "Key=SourceUrl,Values=s3://$BUCKET/yagura/$VERSION" --version-name "$VERSION"
    if exists --version-name "$VERSION"; then
        die "$NAME has a version $VERSION already: a version's content never changes; build another one"
    elif exists; then
        # shellcheck disable=SC2016  # the service's word for it
        change aws ssm update-document "$@" --document-version '$LATEST'
        NEW=$(aws ssm describe-document --name "$NAME" --version-name "$VERSION" --query Document.DocumentVersion --output text 2>/dev/null || true)
        change aws ssm update-document-default-version --name "$NAME" --document-version "${NEW:-NEW}"
    else
        change aws ssm create-document --document-type Package --document-format JSON "$@"
    fi
}

publish() {
    [ -s "$FOLDER/manifest.json" ] || die "there is no manifest.json in $FOLDER"
    [ -n "$BUCKET" ] || die "--bucket is missing"
    VERSION=$(sed -n 's/^  "version": "\([A-Za-z0-9_.-]*\)",$/\1/p' "$FOLDER/manifest.json")
    [ -n "$VERSION" ] || die "$FOLDER/manifest.json has no version: was it written by build.sh?"
    upload
    make_version
    [ -z "$SHARE" ] || change aws ssm modify-document-permission --name "$NAME" --permission-type Share --account-ids-to-add "$SHARE"
}

take_away() {
    if exists; then
        # A shared one cannot be deleted.
        shared=$(aws ssm describe-document-permission --name "$NAME" --permission-type Share --query AccountIds --output text)
        # shellcheck disable=SC2086  # ids
        [ -z "$shared" ] || change aws ssm modify-document-permission --name "$NAME" --permission-type Share --account-ids-to-remove $shared
        change aws ssm delete-document --name "$NAME"
    else
        echo "there is no package $NAME"
    fi
    [ -z "$BUCKET" ] || change aws s3 rm --only-show-errors --recursive "s3://$BUCKET/yagura/"
}

main() {
    BUCKET=
    NAME=Yagura
    SHARE=
    FOLDER=
    DRY_RUN=no
    REMOVE=no
    while [ $# -gt 0 ]; do
        case $1 in
        --bucket | --name | --share)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --bucket) BUCKET=$2 ;;
            --name) NAME=$2 ;;
            --share) SHARE=$2 ;;
            esac
            shift
            ;;
        --dry-run) DRY_RUN=yes ;;
        --remove) REMOVE=yes ;;
        --help)
            usage
            exit 0
            ;;
        -*) die "unknown option $1; --help explains" ;;
        *) FOLDER=$1 ;;
        esac
        shift
    done
    command -v aws >/dev/null 2>&1 || die "the aws command is missing"
    if [ "$REMOVE" = yes ]; then
        take_away
    else
        publish
    fi
}

main "$@"
