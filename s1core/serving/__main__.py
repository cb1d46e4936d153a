"""`python -m s1core.serving serve MODEL ...`: `vllm serve`, also where vLLM has no command."""

from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
from vllm.utils.argparse_utils import FlexibleArgumentParser

if __name__ == "__main__":
    cli_env_setup()
    parser, command = FlexibleArgumentParser(prog="s1core"), ServeSubcommand()
    command.subparser_init(parser.add_subparsers(required=True, dest="subparser"))
    args = parser.parse_args()
    command.validate(args)
    command.cmd(args)
