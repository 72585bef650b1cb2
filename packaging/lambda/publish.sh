#!/bin/sh
# Publishes the zips of build-layer.sh as versions of a Lambda layer, with the AWS command line.
set -eu

usage() {
    cat <<'USAGE'
Usage: packaging/lambda/publish.sh --region REGION [--region REGION...] [--name NAME] [--dry-run] ZIP...

Publishes each zip (yagura-application-layer-VERSION-x86_64.zip or -arm64.zip) in each region as layer
NAME-ARCH (default: yagura-application), and prints the ARNs: LayerArnX86 and LayerArnArm of template.yaml.
USAGE
}

publish() { # REGION ZIP
    case $2 in
    *-x86_64.zip) architecture=x86_64 ;;
    *-arm64.zip) architecture=arm64 ;;
    *) echo "publish.sh: $2 is no zip of build-layer.sh: its name says no architecture" >&2 && exit 2 ;;
    esac
    set -- aws lambda publish-layer-version --region "$1" --layer-name "$NAME-$architecture" \
        --description "Yagura application protection" --license-info MIT \
        --compatible-architectures "$architecture" --zip-file "fileb://$2" \
        --query LayerVersionArn --output text
    if [ -n "$DRY_RUN" ]; then
        echo "$*"
    else
        "$@"
    fi
}

main() {
    NAME=yagura-application DRY_RUN='' REGIONS=''
    while [ $# -gt 0 ]; do
        case $1 in
        --help) usage && exit 0 ;;
        --dry-run) DRY_RUN=1 && shift ;;
        --region | --name)
            [ $# -gt 1 ] || { usage >&2 && exit 2; }
            if [ "$1" = --region ]; then REGIONS="$REGIONS $2"; else NAME=$2; fi
            shift 2
            ;;
        -*) usage >&2 && exit 2 ;;
        *) break ;;
        esac
    done
    if [ -z "$REGIONS" ] || [ $# -eq 0 ]; then
        usage >&2
        exit 2
    fi
    for zip in "$@"; do
        [ -f "$zip" ] || { echo "publish.sh: $zip is missing; make it with build-layer.sh" >&2 && exit 1; }
        for region in $REGIONS; do
            publish "$region" "$zip"
        done
    done
}

main "$@"
