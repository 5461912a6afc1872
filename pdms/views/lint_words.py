"""What each finding of the view linter says, in English and Chinese, the article it stands on, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """Explanation and suggestion of one code."""

    article: str
    explanation: str
    suggestion: str
    explanation_zh: str
    suggestion_zh: str


WORDS: dict[str, Words] = {
    "VIEW_FORM": Words(
        "T37964",
        "The document is not a view: a key is missing, unknown or of another type.",
        "Compare it with policies/views/member_value.yaml, which explains every key.",
        "文件不符合视图的格式：缺少、多出或类型不符的键。",
        "请对照 policies/views/member_value.yaml，其中逐项说明。",
    ),
    "PURPOSE_UNKNOWN": Words(
        "PIPL-6-1",
        "The policy has no purpose of that name, so nobody consented to it.",
        "Name a purpose of policy.yaml.",
        "政策中没有该处理目的。",
        "请填写 policy.yaml 中的目的。",
    ),
    "PURPOSE_WITHOUT_VIEW": Words(
        "PIPL-6-1",
        "The purpose declares no least strictness of views (`view:`), so it publishes none.",
        "Take a purpose that declares `view: {k, min_cell, risk}`.",
        "该目的未声明视图的最低要求 (view)，不得发布视图。",
        "请改用声明了 view 的目的。",
    ),
    "K_TOO_LOW": Words(
        "T37964",
        "k is smaller than the purpose asks of any view.",
        "Raise k to the purpose's.",
        "k 小于该目的的最低要求。",
        "请提高 k。",
    ),
    "MIN_CELL_TOO_LOW": Words(
        "T37964",
        "The smallest count that is shown is smaller than the purpose asks.",
        "Raise min_cell to the purpose's.",
        "可显示的最小计数低于该目的的要求。",
        "请提高 min_cell。",
    ),
    "RISK_TOO_HIGH": Words(
        "T37964",
        "A row could be tied to its member with a greater probability than allowed (1/k, or the threshold itself).",
        "Raise k, or lower risk_threshold to the purpose's.",
        "单行被重新识别的概率高于允许值。",
        "请提高 k 或降低 risk_threshold。",
    ),
    "TOO_MANY_FEATURES": Words(
        "PIPL-6-2",
        "More than six features: what is learned on so many coarsened columns together is worse, not better, and each "
        "one singles members out.",
        "Keep the six that the purpose needs most; make a second view for another question.",
        "特征超过六个：列越多，识别风险越高，泛化后的可用性越低。",
        "请只保留目的所必需的六个以内特征。",
    ),
    "CONSUMER_UNKNOWN": Words(
        "PIPL-51-4",
        "A consumer is not a role of the policy.",
        "Name roles of policy.yaml.",
        "使用者不是政策中的角色。",
        "请填写 policy.yaml 中的角色。",
    ),
    "NO_PUBLISHER": Words(
        "PIPL-51-4",
        "No role with the scope compliance has the view's purpose: nobody can publish it.",
        "Add the purpose to such a role.",
        "没有任何合规角色含该目的，无人能发布。",
        "请为合规角色增加该目的。",
    ),
    "CONSUMER_WITHOUT_PURPOSE": Words(
        "PIPL-51-4",
        "A consumer's role does not have the view's purpose: nobody of that role can read it.",
        "Add the purpose to the role, or take the role off the view.",
        "使用者角色不含该目的，无法读取。",
        "请为角色增加该目的，或从视图中去掉该角色。",
    ),
    "MEASURE_TWICE": Words(
        "T37964",
        "One measure is cut twice in the view; two cuts refine each other.",
        "Keep one of them.",
        "同一度量被切分两次，会互相细化。",
        "请只保留一个。",
    ),
    "IDENTIFIER": Words(
        "PIPL-4, 73",
        "An identifier or token never enters a view, under whatever name.",
        "Remove the feature.",
        "标识符或令牌不得进入视图。",
        "请删除该特征。",
    ),
    "MEASURE_UNKNOWN": Words(
        "PIPL-6-2",
        "Nobody can compute this measure: the list of measures is closed.",
        "Take one of the measures of docs/policy.md.",
        "没有该度量：度量为封闭清单。",
        "请选用 docs/policy.md 所列的度量。",
    ),
    "OUTSIDE_PURPOSE": Words(
        "PIPL-6-2",
        "The feature is computed from a data category that the purpose does not name, so no member agreed to it.",
        "Remove the feature, or take a purpose whose notice tells of that category.",
        "该特征来自目的未列明的数据类别，会员并未同意。",
        "请删除该特征，或改用告知过该类别的目的。",
    ),
    "EXACT_VALUE": Words(
        "T37964",
        "The number has no edges; an exact number singles members out.",
        "Declare edges, and coarser ones.",
        "数值未声明分箱边界；精确值会指向个人。",
        "请声明 edges 与 coarser。",
    ),
    "EXACT_DATE": Words(
        "T37964",
        "The leaves of the hierarchy are single days; a release holds no exact date.",
        "Let the hierarchy begin at the month.",
        "层级的叶子是具体日期；发布的行不得含具体日期。",
        "请让层级从“月”开始。",
    ),
    "IDENTIFYING_LEAVES": Words(
        "PIPL-4, 73",
        "Leaves of the hierarchy look like telephone numbers, e-mail addresses or ID numbers.",
        "Remove them; a hierarchy lists kinds of things, never people.",
        "层级的叶子像电话号码、邮箱或证件号。",
        "请删除；层级只列类别，不列个人。",
    ),
    "TOO_MANY_BINS": Words(
        "T37964",
        "So many bins are exact values in disguise.",
        "Keep the edges at which decisions change; ten bins are usually more than enough.",
        "分箱过多，等同精确值。",
        "请只保留影响决策的边界。",
    ),
    "TOO_MANY_LEAVES": Words(
        "T37964",
        "A category of so many finest values is an exact value in disguise.",
        "Begin the hierarchy a level higher.",
        "最细一级取值过多，等同精确值。",
        "请从层级的上一级开始。",
    ),
    "MISSING_LIKE_A_BIN": Words(
        "T37964",
        "The label of an absent value reads like that of a bin, so that a release could mean either.",
        "Say it in a word, as unknown.",
        "缺失值的标签形似分箱标签，发布中无法区分。",
        "请用文字表示，例如 unknown。",
    ),
    "NEAR_UNIQUE": Words(
        "T37964",
        "The column has so many finest values that most of them cannot hold k members: it nearly singles members out.",
        "Begin a level higher, or merge bins.",
        "该列最细一级取值过多，多数取值不足 k 人，近乎唯一。",
        "请从上一级开始，或合并分箱。",
    ),
    "EDGES_ORDER": Words("T37964", "Edges must ascend.", "Sort them.", "边界必须递增。", "请排序。"),
    "COARSER_NOT_NESTED": Words(
        "T37964",
        "A coarser level keeps an edge that the level below does not have.",
        "Let each level keep some of the edges of the one before.",
        "较粗一级保留了下一级没有的边界。",
        "每一级只能保留上一级的部分边界。",
    ),
    "COARSER_MISSING": Words(
        "T37964",
        "No coarser edges are declared: between the finest bins and * every second edge is dropped, meaningful or not.",
        "Declare `coarser` with the edges that matter most.",
        "未声明 coarser：泛化时将机械地隔一取一。",
        "请声明最重要的边界。",
    ),
    "HIERARCHY_MISSING": Words(
        "T37964",
        "A category needs a hierarchy, and no edges.",
        "Name a hierarchy; `pdms view hierarchy list` shows those there are.",
        "类别特征需要层级，且不得有边界。",
        "请指定层级 (pdms view hierarchy list)。",
    ),
    "HIERARCHY_UNKNOWN": Words(
        "T37964",
        "The policy has no hierarchy of that name.",
        "Take a standard over with `pdms view hierarchy import`, or write the file.",
        "政策中没有该层级。",
        "请用 pdms view hierarchy import 引入，或自行编写。",
    ),
    "HIERARCHY_FLAT": Words(
        "T37964",
        "The hierarchy has one step only, from the value to *: whatever is rare loses everything.",
        "Add a level between, unless the values are few.",
        "层级只有一级：少见的取值将完全泛化为 *。",
        "若取值较多，请增加中间层级。",
    ),
    "MISSING_NOT_A_LEAF": Words(
        "T37964",
        "The label for an absent value is no leaf of the hierarchy.",
        "Add the leaf, or name one.",
        "缺失值的标签不在层级的叶子中。",
        "请增加该叶子或另行指定。",
    ),
    "AGE_BORDERS": Words(
        "PIPL-31, MIN-24-3",
        "The ages of 14 and 18 are no borders of the hierarchy: children and minors could not be told from adults.",
        "Keep the leaves <14 and 14-17.",
        "层级未以 14 岁与 18 岁为边界，无法区分儿童、未成年人与成年人。",
        "请保留 <14 与 14-17 两个叶子。",
    ),
    "CUT_DIFFERS": Words(
        "T37964",
        "Another view with a consumer in common cuts the same measure at other edges: whoever reads both learns the "
        "finer cut of both.",
        "Use the same edges in both views.",
        "另一视图的同一使用者会看到同一度量的不同切分，两者相互细化。",
        "请在两个视图中使用相同边界。",
    ),
    "EXPIRY_TOO_LONG": Words(
        "PIPL-19",
        "Releases live longer than the purpose keeps what it made.",
        "Lower expiry_days to the purpose's retention.",
        "发布的有效期长于该目的的保存期限。",
        "请缩短 expiry_days。",
    ),
    "LABEL_MISSING": Words(
        "PIPL-17-1",
        "A label is missing in one language, or the Chinese one has no Chinese in it.",
        "Write `label: {zh-CN: …, en: …}`.",
        "缺少中文或英文名称，或中文名称中没有汉字。",
        "请填写 label: {zh-CN: …, en: …}。",
    ),
    "TAG_DENIED": Words(
        "ALG-10",
        "A name or label is a tag that the policy denies.",
        "Name what is measured, not what a person might be.",
        "名称或标签属于政策禁用的标签。",
        "请改为描述所度量的内容。",
    ),
    "SENSITIVE_UNKNOWN": Words(
        "T37964",
        "The feature that must not be inferred is none of the view's.",
        "Name one of the view's features.",
        "敏感特征不在视图之中。",
        "请填写视图中的特征。",
    ),
    "SENSITIVE_ALONE": Words(
        "T37964",
        "A sensitive feature alone has nothing that it could be inferred from, and makes one class of everybody.",
        "Add the features that it is to be seen against, or drop `sensitive`.",
        "视图除敏感特征外没有其他特征。",
        "请增加其他特征，或去掉 sensitive。",
    ),
    "DIVERSITY_OUT_OF_REACH": Words(
        "T37964",
        "No class can hold so many different values: the feature has fewer.",
        "Lower l.",
        "要求的多样性超过该特征的取值数。",
        "请降低 l。",
    ),
    "NO_ORDER": Words(
        "T37964",
        "A category has no order, so that no ordered distance can be measured.",
        "Say `distance: equal`.",
        "类别没有顺序，不能使用有序距离。",
        "请使用 distance: equal。",
    ),
    "TIGHT_ENDS": Words(
        "T37964",
        "The end bins of a tight range are held by somebody, perhaps by one member alone: whoever knows that a target "
        "is the least or the greatest of their class reads the bin.",
        "Say `numbers: tree`, or leave it so where readers know no ranks of members.",
        "紧区间的两端分箱必有人落入，可能仅一人：若知道某人在其等价类中最小或最大，即可读出该分箱。",
        "请使用 numbers: tree；仅当使用者不掌握会员排名时保留。",
    ),
    "ALGORITHM_ALONE": Words(
        "T37964",
        "The algorithm makes a release that is alone. Beside releases that are out, members stay in their classes, "
        "which are split by the peel whatever is chosen, so that a column has no one level; the algorithm is left "
        "those who are in no release. The manifest names what was done.",
        "Have copies of the release before deleted (pdms release copies), or say `algorithm: auto`.",
        "该算法仅对单独的发布有效：若此前的发布仍在外，留存会员沿用原等价类并按 peel 细分，同一列不再是同一层级；"
        "只有不在任何发布中的会员按该算法处理。发布说明 (manifest) 载明实际算法。",
        "请先让使用者删除此前发布的副本 (pdms release copies)，或使用 algorithm: auto。",
    ),
    "LINKED_VIEWS": Words(
        "T37964",
        "Readers of this view also read views of other families over the same members. Each release keeps k; taken "
        "together they may tell of most members what fewer than k share, since their classes cut across each other.",
        "Give the views to different roles; or one `family` to those that need it, which costs precision; or set "
        "`linked_limit`, the share of members that may be linked. Each publication states the share.",
        "本视图的使用者还可读取其他视图族的发布。单次发布均满足 k，但合并后多数会员的组合可能少于 k 人共享。",
        "请交由不同角色使用；或归入同一 family (会损失精度)；或设置 linked_limit (可被关联会员的比例上限)。"
        "每次发布均载明该比例。",
    ),
    "CELL_BELOW_K": Words(
        "T37964",
        "On the members that are eligible now, bins hold some members but fewer than k: each of them is merged in "
        "every release or left out.",
        "Merge these bins with their neighbours.",
        "在当前合格会员中，有的分箱不足 k 人，每次发布都会被合并或略去。",
        "请与相邻分箱合并。",
    ),
    "EMPTY_BINS": Words(
        "PIPL-6-2",
        "More than half of the finest values hold nobody.",
        "Drop edges or leaves that nobody reaches.",
        "半数以上的最细取值无人。",
        "请去掉无人落入的边界或叶子。",
    ),
    "NOT_COVERED": Words(
        "PIPL-8",
        "Values held are not in the hierarchy; they count as absent or other.",
        "Add the leaves, or map the values when they are taken in.",
        "有的取值不在层级中，按缺失或其他计。",
        "请增加叶子，或在导入时映射。",
    ),
    "TOO_FEW_MEMBERS": Words(
        "T37964",
        "Fewer members are eligible than the smallest cell: nothing can be published.",
        "Wait for consents, or take a wider purpose.",
        "合格会员少于最小单元，无法发布。",
        "请等待更多同意。",
    ),
}
