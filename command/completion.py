"""Completion for bash and zsh: a static script, made from the commands, the schema and the profiles."""

from __future__ import annotations

from command.parameters import BEFORE_RUN, ENGINE_OPTIONS, read_profiles, read_schema

BASH = """# completion of ct4bench for bash, to be sourced; made by: ./ct4bench completion bash
_ct4bench() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "$before" in
            -profile) words="{profiles}" ;;
{choices}
            *) case "$command" in
{options}
            esac ;;
        esac
    fi
    case "$word" in
        -*) ;;
        *) case "$words" in ""|-*) COMPREPLY=($(compgen -f -- "$word")); return ;; esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o filenames -F _ct4bench ct4bench ./ct4bench
"""
ZSH = """# completion of ct4bench for zsh, to be sourced; made by: ./ct4bench completion zsh
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
autoload -U +X bashcompinit && bashcompinit
"""


def script(shell: str, options: dict[str, list[str]]) -> str:
    """Return the script for `bash` or `zsh`; `options` are those of each command by its name."""
    known = read_schema()
    passed = [*(f"--{name}" for name in known), *ENGINE_OPTIONS, *BEFORE_RUN]
    chosen = [(name, rule["enum"]) for name, rule in known.items() if "enum" in rule]
    lines = []
    for name, own in options.items():
        words = [*own, *(passed if name in ("run", "demo", "download", "report") else [])]
        lines.append(f'                {name}) words="{" ".join(words)}" ;;')
    body = BASH.format(
        commands=" ".join(options), profiles=" ".join(read_profiles()), options="\n".join(lines),
        choices="\n".join(f'            --{name}) words="{" ".join(map(str, rule))}" ;;' for name, rule in chosen),
    )  # fmt: skip
    return (ZSH if shell == "zsh" else "") + body
