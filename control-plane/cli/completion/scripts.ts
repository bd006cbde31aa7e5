/** Shells that there is a script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

// Each asks "waggle __complete" with the words up to the cursor. It answers a word a line, a tab and what the word means, and
// in the last line what the shell is to look for itself: ":files", ":directories" or ":nothing".

const BASH = `# Completion of waggle for bash. In ~/.bashrc: source <(waggle completion bash)
_waggle() {
  local line=\${COMP_LINE:0:COMP_POINT} word lines look prefix
  local -a words
  # Not COMP_WORDS: bash takes 127.0.0.1:9443 and --output=json apart.
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  word=\${words[\${#words[@]}-1]}
  mapfile -t lines < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  (( \${#lines[@]} )) || return 0
  look=\${lines[\${#lines[@]}-1]}
  unset "lines[\${#lines[@]}-1]"
  case $look in
    :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "\${word#*=}"); return 0 ;;
    :directories) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "\${word#*=}"); return 0 ;;
  esac
  COMPREPLY=("\${lines[@]%%$'\\t'*}")
  # What stands before the last "=" or ":" is not replaced.
  if [[ $word == *[=:]* ]]; then
    prefix=\${word%"\${word##*[=:]}"}
    COMPREPLY=("\${COMPREPLY[@]#"$prefix"}")
  fi
  # A list goes on behind a comma, a setting behind its equals sign.
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[,/=] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _waggle waggle
`;

const ZSH = `#compdef waggle
# Completion of waggle for zsh. In ~/.zshrc, behind compinit: source <(waggle completion zsh)
_waggle() {
  local -a lines values shown
  local look line value says
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  look=\${lines[-1]}
  lines[-1]=()
  case $look in
    :files) [[ $PREFIX == *=* ]] && compset -P '*='; _files; return ;;
    :directories) [[ $PREFIX == *=* ]] && compset -P '*='; _files -/; return ;;
  esac
  for line in $lines; do
    value=\${line%%$'\\t'*}
    says=\${line#*$'\\t'}
    values+=("$value")
    [[ $says == $value ]] && shown+=("$value") || shown+=("$value  -- $says")
  done
  (( $#values )) && compadd -l -d shown -- "\${(@)values}"
}
compdef _waggle waggle
`;

const FISH = `# Completion of waggle for fish. In ~/.config/fish/config.fish: waggle completion fish | source
function __waggle_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
  set -l look $lines[-1]
  switch "$look"
    case ':files'
      __fish_complete_path (commandline -ct | string replace -r '^--[^=]*=' '')
    case ':directories'
      __fish_complete_directories (commandline -ct | string replace -r '^--[^=]*=' '') ''
    case '*'
      test (count $lines) -gt 1; and printf '%s\\n' $lines[1..-2]
  end
end
complete -c waggle -f -a '(__waggle_complete)'
`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The script of a shell. */
export const completionScript = (shell: Shell): string => SCRIPTS[shell];
