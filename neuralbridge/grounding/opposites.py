"""Words that turn a sentence round: denials, and pairs of which only one can be true. Pure."""

import re

from neuralbridge.grounding.stems import stem
from neuralbridge.words import fold

# Of the clause they stand in: all of it is denied
DENYING = """not never none nobody nothing neither cannot cant wont dont doesnt didnt isnt arent wasnt werent shouldnt
    wouldnt couldnt hasnt havent hadnt mustnt neednt aint nao nunca jamais ninguem nada unable hardly impossible
    forbidden forbid forbids prohibited prohibits prohibit banned ban bans refuse refuses refused refusing reject
    rejects rejected rejecting rejection deny denies denied declined disallowed exclude excludes excluded excluding
    fail fails failed lack lacks lacked lacking abolished discontinued removed dropped withdrawn exempt exempts exempted
    proibido proibida proibidos proibidas proibe proibiu vedado vedada interdito interdita recusa recusou recusado
    recusada recusam rejeitado rejeitada rejeitou rejeita exclui excluido excluida excluidos excluidas impossivel falta
    isento isenta isentos isentas
    deixou"""
DENIALS = frozenset(DENYING.split())
# Of the word behind them
LACKING = "no without nor sem nenhum nenhuma nem"
LACKS = frozenset(LACKING.split())
REACH = 1  # words behind one of these
# Where a clause ends, besides punctuation
BORDERING = """and but although though whereas while unless except because since however
    mas porem embora enquanto exceto porque"""
BORDERS = frozenset(BORDERING.split())
NO_MORE = (
    "(?:no|not) more than",
    "nao mais (?:de|do que)",
    "no greater than",
    "(?:may )?not (?:to )?exceed(?:ing)?",
    r"not (?:be )?(?:\w+ )?(?:longer|higher|larger|over|above|faster|heavier|more) than",
)
NO_LESS = (
    "(?:no|not) (?:less|fewer) than",
    "nao menos (?:de|do que)",
    r"not (?:be )?(?:\w+ )?(?:shorter|lower|smaller|under|below|less) than",
)
# What is no denial although it has one in it, or is one in other words; in folded text
IDIOMS = [
    (re.compile(rf"\b(?:{pattern})\b"), instead)
    for pattern, instead in (
        (r"not only|nao so|nao apenas", " "),
        (r"no later than|not later than", "latest"),
        (
            "|".join(NO_MORE),
            "maximum",
        ),
        (
            "|".join(NO_LESS),
            "minimum",
        ),
        (r"at most|up to|at the most|no maximo|ate ao maximo|a maximum of", "maximum"),
        (r"at least|at the least|pelo menos|no minimo|a minimum of", "minimum"),
        (r"no longer|not any more|no more|ja nao", "not"),
        (r"nothing (?:but|other than)|none other than", "only"),
        (r"whether or not|or not|if not|no matter|not necessarily|no doubt|not just", " "),
        (r"can'?t|can not", "cannot"),
        (r"(\w+)n't", r"\1 not"),
        (r"free of charge|at no cost|at no charge|no charge|no fee|without charge|sem custos?", "free"),
        (r"there (?:is|are|was|were|will be|has been|have been) no\b", "there is not"),
        (r"(?:nobody|no one|not) pays?(?: anything| a thing)?", "free"),
        (r"(?:nao|ninguem) pag(?:a|am|ava|avam|ou|aram)(?: nada)?", "gratuito"),
        (r"instead of|rather than|em vez de", "without"),
        (r"(segunda|terca|quarta|quinta|sexta)s?-feiras?", r"\1feira"),
    )
]
# Each word of the one list excludes each of the other
UP = """increase rise rose risen raise grow grew grown gain climb up higher more larger greater bigger faster longer
    extend lengthen expand speed quicken heavier warmer hotter louder aumentar aumentou aumento subir subiu subida
    crescer cresceu maior mais alta alargar"""
DOWN = """decrease reduce fall fell fallen lower drop decline cut shrink shrank down less fewer smaller slower slow
    shorter shorten lighter cooler colder quieter diminuir diminuiu reduzir reduziu reducao descer desceu descida
    cair caiu queda menor menos baixa baixar encurtar"""
PAIRS = """win lose, most least, before after, earlier later, earliest latest, early late, first last, begin end, start
    end, start stop, start finish, open close, open shut, minimum maximum, above below, over under, inside outside,
    indoors outdoors, indoor outdoor, enter leave, enter exit, enable disable, on off, lock unlock, connect
    disconnect, install uninstall, add remove, approve reject, accept reject, accept refuse, include exclude,
    include omit, pass fail, succeed fail, success failure, agree disagree, support oppose, always never, all none,
    everyone nobody, required optional, mandatory optional, compulsory optional, compulsory voluntary, mandatory
    voluntary, free paid, public private, internal external, manual automatic, hot cold, warm cool, warm cold, wet
    dry, high low, higher lower, highest lowest, long short, longer shorter, longest shortest, large small, larger
    smaller, largest smallest, big small, wide narrow, fast slow, faster slower, fastest slowest, quick slow, speed
    slow, new old, newest oldest, young old, strong weak, heavy light, heavier lighter, full empty, safe dangerous,
    safe unsafe, easy difficult, simple complex, cheap expensive, better worse, best worst, good bad, positive
    negative, buy sell, import export, send receive, push pull, upload download, borrow lend, hire fire, hire
    dismiss, employer employee, landlord tenant, buyer seller, north south, east west, northern southern, eastern
    western, left right, upper lower, top bottom, front back, front rear, up down, day night, morning evening,
    morning afternoon, summer winter, male female, husband wife, son daughter, father mother, brother sister,
    visible hidden, active inactive, direct indirect, odd even, horizontal vertical, temporary permanent, valid
    invalid, legal illegal, reversible irreversible, known unknown, refundable nonrefundable, profit loss, deposit
    withdraw, arrive depart, arrival departure, encrypt decrypt, compress decompress, freeze thaw, melt freeze,
    absent present, same different, single multiple, majority minority, ascending descending, forward backward,
    tighten loosen, shallow deep, advance arrears, keep remove, keep lose, stay leave, praise criticise, repaired
    broken, working broken, alive dead, born died, single married, hardware software, client server, read write,
    input output, source target, upstream downstream, permitir proibir, aumentar diminuir, aumentar reduzir,
    aumentou diminuiu, aumentou reduziu, subir descer, subiu desceu, subiu diminuiu, subiu caiu, subir diminuir,
    cresceu diminuiu, antes depois, abrir fechar, abre fecha, aberto fechado, minimo maximo, acima abaixo, dentro
    fora, obrigatorio opcional, obrigatorio facultativo, obrigatoria opcional, obrigatoria facultativa, gratuito
    pago, publico privado, quente frio, alto baixo, alta baixa, maior menor, melhor pior, sempre nunca, todos
    nenhum, primeiro ultimo, primeira ultima, comecar terminar, comeca termina, inicio fim, ganhar perder, ganhou
    perdeu, comprar vender, aprovar rejeitar, aprovado rejeitado, aprovada rejeitada, aceitar recusar, aceite
    recusado, direita esquerda, norte sul, cedo tarde, novo velho, rapido lento, manual automatico, senhorio
    inquilino, entrada saida, ligar desligar, ligado desligado, mais menos, verao inverno, manha tarde, facil
    dificil, dia noite"""
# Only one of a group fits a place
GROUPS = """monday tuesday wednesday thursday friday saturday sunday
    january february march april june july august september october november december
    spring summer autumn winter
    north south east west
    red orange yellow green blue purple brown black white grey pink
    daily weekly monthly quarterly yearly
    segundafeira tercafeira quartafeira quintafeira sextafeira sabado domingo
    vermelho laranja amarelo verde azul roxo castanho preto branco cinzento
    diario semanal mensal trimestral anual
    mother father brother sister uncle aunt
    king queen prince princess
    bronze silver gold
    breakfast lunch dinner"""
AFFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "de")


def turned(text: str) -> str:
    """Folded text in which denials stand as such, and idioms that only look like them do not."""
    folded = fold(text).replace("’", "'")
    for pattern, instead in IDIOMS:
        folded = pattern.sub(instead, folded)
    return folded


def read_pairs(pairs: str, groups: str) -> dict[str, frozenset[str]]:
    """By their stems, so that all forms of a word exclude those of the other."""
    found: dict[str, set[str]] = {}
    for members in [*(pair.split() for pair in pairs.split(",")), *(line.split() for line in groups.splitlines())]:
        stems = {stem(member) for member in members}
        for member in stems:
            found.setdefault(member, set()).update(stems - {member})
    for one, other in ((UP, DOWN), (DOWN, UP)):
        for word in one.split():
            found.setdefault(stem(word), set()).update(map(stem, other.split()))
    return {word: frozenset(others - {word}) for word, others in found.items()}


OPPOSITES = read_pairs(PAIRS, GROUPS)


def opposite(one: str, other: str) -> bool:
    """Whether two folded words exclude one another, also as "able" and "unable" do."""
    if stem(other) in OPPOSITES.get(stem(one), ()):
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and any(long == affix + short for affix in AFFIXES)
