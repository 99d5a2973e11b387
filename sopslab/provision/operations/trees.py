"""Shell functions that make commits out of objects. No learner's tree is checked out here: what is
written into a work tree goes where the links in it lead, with the rights of whoever writes."""

from __future__ import annotations

# Fails with a sentence if one of the paths $2, … in the commit $1 is a link or a submodule, or
# leads through one. What is not there is neither. `bare` is git in the repository.
NO_LINKS = """
no_links() (
    commit=$1
    shift
    for path; do
        way='' rest=$path/
        while [ -n "$rest" ]; do
            way=${way:+$way/}${rest%%/*} rest=${rest#*/}
            case $(bare ls-tree --full-tree "$commit" -- "$way") in
            120000* | 160000*)
                say "$way on main is no file or folder but leads elsewhere: \\`sopslab reset\\`" \\
                    "takes it away"
                return 1
                ;;
            esac
        done
    done
)
"""

# Prints a commit on top of $1 with the message $2 and, after them, pairs of a path and the file
# that is there now; `bare` is git in the repository, and $new a folder of the script's own.
COMMIT_FILES = """
commit_files() (
    parent=$1 message=$2
    shift 2
    GIT_INDEX_FILE=$new/index
    export GIT_INDEX_FILE
    rm -f "$GIT_INDEX_FILE"
    bare read-tree "$parent"
    while [ $# -gt 0 ]; do
        blob=$(bare hash-object -w --stdin <"$2")
        bare update-index --add --cacheinfo "100644,$blob,$1"
        shift 2
    done
    bare commit-tree -p "$parent" -m "$message" "$(bare write-tree)"
)
"""
