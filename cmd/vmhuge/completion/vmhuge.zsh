#compdef vmhuge
# vmhuge's completion for zsh: vmhuge itself knows what there is.
_vmhuge() {
    local line word
    local -a found
    for line in "${(@f)$(vmhuge __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        word=${line%%$'\t'*}
        [[ -z $word ]] || found+=("${word//:/\\:}${${line#$word}/$'\t'/:}")
    done
    _describe -V vmhuge found
}
if [[ $funcstack[1] == _vmhuge ]]; then
    _vmhuge "$@"
else
    compdef _vmhuge vmhuge
fi
