#!/bin/sh
# Brings any state to this version, a machine without Yagura too: after a failed first installation
# the Systems Manager agent runs this script and never install.sh again ("In-place update").
exec sh ./install.sh
